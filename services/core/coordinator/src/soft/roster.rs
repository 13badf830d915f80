//! The members of one classic group: who leads, who is static, what all support, who waits.
//!
//! Invariant: counts and indexes follow from the members; the leader is a member, or there are none. Every member shares at
//! least one protocol with all the others, if [`Roster::supports`] was asked before each change.

use std::collections::{BTreeMap, BTreeSet};

use super::member::Member;
use crate::command::{Protocol, Token};
use crate::names::{InstanceId, MemberId, Text};

/// The members of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    members: BTreeMap<MemberId, Member>,
    statics: BTreeMap<InstanceId, MemberId>,
    /// How many members offer each protocol.
    supported: BTreeMap<Text, usize>,
    leader: Option<MemberId>,
    awaiting_join: usize,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn get(&self, id: &MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// To change what no count nor index follows from.
    pub(crate) fn get_mut(&mut self, id: &MemberId) -> Option<&mut Member> {
        self.members.get_mut(id)
    }

    pub(crate) fn contains(&self, id: &MemberId) -> bool {
        self.members.contains_key(id)
    }

    /// All members in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.members.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&MemberId, &mut Member)> {
        self.members.iter_mut()
    }

    pub(crate) fn ids(&self) -> Vec<MemberId> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn leader(&self) -> Option<&MemberId> {
        self.leader.as_ref()
    }

    pub(crate) fn is_leader(&self, id: &MemberId) -> bool {
        self.leader.as_ref() == Some(id)
    }

    /// The leader that a record names, if it is a member.
    pub(super) fn restore_leader(&mut self, id: Option<&MemberId>) {
        if let Some(id) = id.filter(|id| self.members.contains_key(*id)) {
            self.leader = Some(id.clone());
        }
    }

    /// Who is behind an instance id.
    pub(crate) fn of_instance(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.statics.get(instance)
    }

    /// Adds a member; the first one leads.
    pub(crate) fn add(&mut self, id: MemberId, member: Member) {
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.count_protocols(&member.protocols, true);
        self.awaiting_join += usize::from(member.awaits_join());
        self.leader.get_or_insert_with(|| id.clone());
        if let Some(old) = self.members.insert(id, member) {
            self.count_protocols(&old.protocols, false);
            self.awaiting_join -= usize::from(old.awaits_join());
        }
    }

    /// Removes a member; if it led, another one does now.
    pub(crate) fn remove(&mut self, id: &MemberId) -> Option<Member> {
        let member = self.members.remove(id)?;
        self.count_protocols(&member.protocols, false);
        self.awaiting_join -= usize::from(member.awaits_join());
        if let Some(instance) = &member.instance
            && self.statics.get(instance) == Some(id)
        {
            self.statics.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Gives a member a new id; it stays the leader if it was.
    pub(crate) fn rename(&mut self, old: &MemberId, new: MemberId) {
        let led = self.is_leader(old);
        if let Some(member) = self.remove(old) {
            self.add(new.clone(), member);
            if led {
                self.leader = Some(new);
            }
        }
    }

    pub(crate) fn set_protocols(&mut self, id: &MemberId, protocols: Vec<Protocol>) {
        let Some(member) = self.members.get_mut(id) else { return };
        let old = std::mem::replace(&mut member.protocols, protocols.clone());
        self.count_protocols(&old, false);
        self.count_protocols(&protocols, true);
    }

    fn count_protocols(&mut self, protocols: &[Protocol], more: bool) {
        let names: BTreeSet<&Text> = protocols.iter().map(|protocol| &protocol.name).collect();
        for name in names {
            if more {
                *self.supported.entry(name.clone()).or_default() += 1;
            } else if let Some(count) = self.supported.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// Whether all members offer this protocol.
    fn is_common(&self, name: &Text) -> bool {
        self.supported.get(name).copied().unwrap_or(0) == self.members.len()
    }

    /// Whether one of these protocols is offered by all members.
    pub(crate) fn supports(&self, protocols: &[Protocol]) -> bool {
        protocols.iter().any(|protocol| self.is_common(&protocol.name))
    }

    /// The protocol with the most votes: each member votes for the first of its own that all offer. Of equals the first by
    /// name. `None` without members.
    pub(crate) fn elect_protocol(&self) -> Option<Text> {
        let mut votes: BTreeMap<&Text, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|protocol| &protocol.name);
            if let Some(vote) = names.find(|name| self.is_common(name)) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        // Of equals `max_by_key` takes the last: reversed, that is the first by name.
        let winner = votes.into_iter().rev().max_by_key(|(_, votes)| *votes);
        winner.map(|(name, _)| name.clone())
    }

    /// Parks a member's join; gives back the one that waited before.
    pub(crate) fn park_join(&mut self, id: &MemberId, token: Token) -> Option<Token> {
        let old = self.members.get_mut(id)?.join.replace(token);
        self.awaiting_join += usize::from(old.is_none());
        old
    }

    pub(crate) fn take_join(&mut self, id: &MemberId) -> Option<Token> {
        let token = self.members.get_mut(id)?.join.take();
        self.awaiting_join -= usize::from(token.is_some());
        token
    }

    /// Parks a member's sync; gives back the one that waited before.
    pub(crate) fn park_sync(&mut self, id: &MemberId, token: Token) -> Option<Token> {
        self.members.get_mut(id)?.sync.replace(token)
    }

    pub(crate) fn take_sync(&mut self, id: &MemberId) -> Option<Token> {
        self.members.get_mut(id)?.sync.take()
    }

    pub(crate) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    pub(crate) fn all_await_join(&self) -> bool {
        self.awaiting_join == self.members.len()
    }

    /// Makes sure that the leader is one that has joined. False if nobody has.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &MemberId| self.members.get(id).is_some_and(Member::awaits_join);
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let first = self.members.iter().find(|(_, member)| member.awaits_join());
        let Some(first) = first.map(|(id, _)| id.clone()) else { return false };
        self.leader = Some(first);
        true
    }

    /// The longest of the members' rebalance timeouts, in milliseconds.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.awaiting_join + self.members.values().filter(|member| member.awaits_sync()).count()
    }
}
