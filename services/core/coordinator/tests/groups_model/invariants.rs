//! What must be true whatever happens, kept by a book of its own: from replies and notes, not from the coordinator's state.

use super::*;

use ottla_coordinator::event::OffsetKey;
use ottla_coordinator::reply::Joined;
use ottla_types::Offset;

/// What the coordinator has promised by now.
#[derive(Default)]
pub(crate) struct Promises {
    /// Joins and syncs that were asked and not answered since the last load.
    unanswered: BTreeSet<Token>,
    groups: BTreeMap<GroupId, Book>,
    /// Where each join goes, and what it offers.
    joins: BTreeMap<Token, (GroupId, Vec<Text>)>,
    /// Who asks for an assignment, and whether it is static.
    syncs: BTreeMap<Token, (MemberId, bool)>,
    /// The offset of each commit that is on its way.
    commits: BTreeMap<Token, (OffsetKey, Offset)>,
    /// Offsets that a client was told are committed.
    acknowledged: BTreeMap<OffsetKey, Offset>,
}

/// What was said of a group since the last load.
#[derive(Default)]
struct Book {
    generation: Option<Generation>,
    /// Who was told to be a member, and has not been said to be gone.
    members: BTreeSet<MemberId>,
    /// The protocol of each generation.
    protocols: BTreeMap<Generation, Option<Text>>,
    /// Who was told to assign in each generation.
    leaders: BTreeMap<Generation, MemberId>,
}

impl Promises {
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// A coordinator has loaded: what was said before and not stored does not count.
    pub(crate) fn loaded(&mut self, durable: &Durable) {
        self.unanswered.clear();
        self.commits.clear();
        self.groups.clear();
        for (id, Group::Classic(stored)) in durable.groups_after(None) {
            let book = self.groups.entry(id.clone()).or_default();
            book.generation = Some(stored.generation);
            book.members = stored.members.iter().map(|member| member.id.clone()).collect();
        }
    }

    /// `state` is the one of a commit's group before it.
    pub(crate) fn check_decision(
        &mut self,
        command: &Command,
        decision: &Decision,
        state: Option<GroupState>,
    ) {
        self.note_question(command);
        let said_before = self.permission(command);
        for note in &decision.notes {
            self.note(note);
            check_that_somebody_assigns(note, decision);
        }
        for (token, reply) in &decision.replies {
            let waited = self.unanswered.remove(token);
            assert!(waited || !matches!(reply, Reply::Join(_) | Reply::Sync(_)), "answered twice");
            match reply {
                Reply::Join(Ok(joined)) => self.check_joined(*token, joined),
                Reply::Sync(Ok(synced)) => {
                    // Leaders of the model give everybody its own id; a static member keeps what its former self got.
                    let (member, is_static) = &self.syncs[token];
                    let own = *synced.assignment == *member.as_str().as_bytes();
                    assert!(own || synced.assignment.is_empty() || *is_static, "not its own");
                }
                Reply::CommitOffsets(outcome) => {
                    let allowed = outcome.is_ok();
                    assert!(allowed || decision.events.is_empty(), "a refusal left events");
                    assert!(!allowed || said_before || state_allows(command, state), "a zombie");
                }
                Reply::Join(Err(refused)) if is_of(command, *token) => {
                    let accepted = refused.error == ErrorCode::MemberIdRequired;
                    assert!(accepted || decision.events.is_empty(), "a refusal left events");
                }
                _ => {}
            }
        }
        for event in &decision.events {
            if let Event::OffsetRemoved { at } = event {
                self.acknowledged.remove(at);
                self.commits.retain(|_, (of, _)| of != at);
            }
            if let Event::GroupRemoved { group } = event {
                self.groups.remove(group);
            }
        }
    }

    fn note_question(&mut self, command: &Command) {
        match command {
            Command::Join(join) => {
                self.unanswered.insert(join.token);
                let names = join.protocols.iter().map(|protocol| protocol.name.clone());
                self.joins.insert(join.token, (join.caller.group.clone(), names.collect()));
            }
            Command::Sync(sync) => {
                self.unanswered.insert(sync.token);
                let is_static = sync.caller.instance.is_some();
                self.syncs.insert(sync.token, (sync.caller.member.clone(), is_static));
            }
            Command::CommitOffsets(commit) => {
                let at = OffsetKey {
                    group: commit.caller.group.clone(),
                    topic: commit.topics[0].name.clone(),
                    partition: commit.topics[0].partitions[0].partition,
                };
                self.commits.insert(commit.token, (at, commit.topics[0].partitions[0].offset));
            }
            _ => {}
        }
    }

    /// Whether a commit comes from a member of the present generation, by all that was said.
    fn permission(&self, command: &Command) -> bool {
        let Command::CommitOffsets(commit) = command else { return false };
        let Some(book) = self.groups.get(&commit.caller.group) else { return false };
        book.generation == Some(commit.generation) && book.members.contains(&commit.caller.member)
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::GenerationBegan { group, generation, .. } => {
                let book = self.groups.entry(group.clone()).or_default();
                assert!(book.generation.is_none_or(|old| old < *generation), "a generation again");
                book.generation = Some(*generation);
            }
            Note::MemberGone { group, member, .. } => {
                self.groups.entry(group.clone()).or_default().members.remove(member);
            }
            Note::RebalanceBegan { .. } | Note::TooLarge { .. } => {}
        }
    }

    /// One generation, one protocol that everybody offered, one leader.
    fn check_joined(&mut self, token: Token, joined: &Joined) {
        let (group, offered) = &self.joins[&token];
        assert!(offered.contains(joined.protocol.as_ref().unwrap()), "not offered");
        let book = self.groups.get_mut(group).expect("the group has a generation");
        assert_eq!(book.generation, Some(joined.generation), "not the present generation");
        book.members.insert(joined.member.clone());
        let agreed = book.protocols.entry(joined.generation).or_insert(joined.protocol.clone());
        assert_eq!(*agreed, joined.protocol, "two protocols in one generation");
        if !joined.members.is_empty() && !joined.skip_assignment {
            let leader = book.leaders.entry(joined.generation).or_insert(joined.member.clone());
            assert_eq!(*leader, joined.member, "two leaders");
        }
    }

    /// A reply reached its client.
    pub(crate) fn check_released(&mut self, token: Token, reply: &Reply) {
        let Reply::CommitOffsets(outcome) = reply else { return };
        let Some((at, offset)) = self.commits.remove(&token) else { return };
        if outcome.is_ok() {
            self.acknowledged.insert(at, offset);
        }
    }

    pub(crate) fn check_durable(&self, durable: &Durable) {
        for (at, offset) in &self.acknowledged {
            let found = durable.offset(&at.group, &at.topic, at.partition);
            assert!(found.is_some_and(|found| found.offset >= *offset), "lost: {at:?} {offset}");
        }
        for (_, Group::Classic(stored)) in durable.groups_after(None) {
            let leads = |leader: &MemberId| stored.members.iter().any(|m| m.id == *leader);
            assert_eq!(stored.members.is_empty(), stored.leader.is_none());
            assert_eq!(stored.members.is_empty(), stored.protocol.is_none());
            assert!(stored.leader.as_ref().is_none_or(leads));
            // Static members that are away are beyond those who joined.
            let max = usize::try_from(MAX_SIZE).unwrap() + clients::STATICS_PER_GROUP;
            assert!(stored.members.len() <= max, "{} members", stored.members.len());
        }
    }
}

/// Anybody may commit where no member is.
fn state_allows(command: &Command, state: Option<GroupState>) -> bool {
    let Command::CommitOffsets(commit) = command else { return false };
    let no_member = matches!(state, Some(GroupState::Empty | GroupState::Dead));
    commit.generation.is_none() && no_member
}

fn is_of(command: &Command, token: Token) -> bool {
    matches!(command, Command::Join(join) if join.token == token)
}

/// Whoever leads a generation is among those who joined, and is told to assign.
fn check_that_somebody_assigns(note: &Note, decision: &Decision) {
    let Note::GenerationBegan { generation, members: 1.., .. } = note else { return };
    let assigns = |reply: &Reply| match reply {
        Reply::Join(Ok(joined)) => {
            joined.generation == *generation
                && joined.leader == joined.member
                && !joined.members.is_empty()
        }
        _ => false,
    };
    assert!(decision.replies.iter().any(|(_, reply)| assigns(reply)), "nobody assigns");
}
