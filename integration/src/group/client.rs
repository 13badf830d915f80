//! A member with a blocking connection to its coordinator, which it finds again as often as it must.
//!
//! Invariant: after an error the connection is gone, so that a late answer is never taken for another one's.

use std::io;
use std::time::{Duration, Instant};

use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::describe_groups_response::DescribedGroup;
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_types::ErrorCode;

use super::member::{
    BEAT_VERSION, Group, JOIN_VERSION, LEAVE_VERSION, Member, Next, SYNC_VERSION, Turn,
};
use super::offsets;
use crate::wire::Wire;

/// The FindCoordinator version in use.
pub const FIND_VERSION: i16 = 4;
/// The DescribeGroups version in use.
pub const DESCRIBE_VERSION: i16 = 5;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// A member and its connection.
pub struct GroupClient {
    /// The member.
    pub member: Member,
    bootstrap: String,
    wire: Option<Wire>,
}

/// Host and port of a group's coordinator.
///
/// # Errors
/// Nobody answers, or nobody coordinates yet.
pub fn find(bootstrap: &str, group: &str) -> io::Result<String> {
    let request =
        FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() };
    let answer = Wire::connect(bootstrap)?.call(FIND_VERSION, &request)?;
    let found = answer.coordinators.first().ok_or_else(|| io::Error::other("no answer"))?;
    match ErrorCode::from_code(found.error_code) {
        ErrorCode::None => Ok(format!("{}:{}", found.host, found.port)),
        code => Err(io::Error::other(format!("FindCoordinator: {code}"))),
    }
}

/// What the coordinator says of a group.
///
/// # Errors
/// It cannot be asked, or refuses.
pub fn describe(bootstrap: &str, group: &str) -> io::Result<DescribedGroup> {
    let request = DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
    let answer = Wire::connect(&find(bootstrap, group)?)?.call(DESCRIBE_VERSION, &request)?;
    let group = answer.groups.into_iter().next();
    let group = group.ok_or_else(|| io::Error::other("no answer"))?;
    match ErrorCode::from_code(group.error_code) {
        ErrorCode::None => Ok(group),
        code => Err(io::Error::other(format!("DescribeGroups: {code}"))),
    }
}

/// What is committed, by partition; -1 where nothing is.
///
/// # Errors
/// The coordinator cannot be asked, or refuses.
pub fn committed(bootstrap: &str, group: &Group) -> io::Result<Vec<(i32, i64)>> {
    let request = offsets::fetch_request(&group.id, &group.topic, group.partitions);
    let mut wire = Wire::connect(&find(bootstrap, &group.id)?)?;
    let answer = wire.call(offsets::FETCH_VERSION, &request)?;
    offsets::fetched(&answer).map_err(|code| io::Error::other(format!("OffsetFetch: {code}")))
}

impl GroupClient {
    /// A member that nobody knows yet.
    pub fn new(bootstrap: &str, group: Group) -> Self {
        Self { member: Member::new(group), bootstrap: bootstrap.to_owned(), wire: None }
    }

    /// The connection to the coordinator.
    ///
    /// # Errors
    /// There is none at the moment.
    pub fn wire(&mut self) -> io::Result<&mut Wire> {
        if self.wire.is_none() {
            let address = find(&self.bootstrap, &self.member.group.id)?;
            self.wire = Some(Wire::connect(&address)?);
        }
        Ok(self.wire.as_mut().expect("it was just made"))
    }

    /// Gives the connection up.
    pub fn hang_up(&mut self) {
        self.wire = None;
    }

    /// Goes on until it works in a generation.
    ///
    /// # Errors
    /// It does not within `patience`, or is refused.
    pub fn settle(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        while self.member.next != Next::Work {
            if let Err(error) = self.step() {
                self.hang_up();
                if Instant::now() > deadline {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// One request, whichever is next; a heartbeat for who works.
    ///
    /// # Errors
    /// There is no coordinator at the moment.
    pub fn step(&mut self) -> io::Result<()> {
        match self.member.next {
            Next::Join => {
                let request = self.member.join_request();
                let answer = self.wire()?.call(JOIN_VERSION, &request)?;
                taken(self.member.joined(answer))
            }
            Next::Sync => {
                let request = self.member.sync_request();
                let answer = self.wire()?.call(SYNC_VERSION, &request)?;
                taken(self.member.synced(&answer))
            }
            Next::Work => {
                let request = self.member.beat_request();
                let answer = self.wire()?.call(BEAT_VERSION, &request)?;
                taken(self.member.beaten(&answer))
            }
        }
    }

    /// Commits; whether it was done. If not, the member joins again first.
    ///
    /// # Errors
    /// There is no coordinator at the moment; whether it was done is unknown.
    pub fn commit(&mut self, offsets: &[(i32, i64)]) -> io::Result<bool> {
        let request = self.member.commit_request(offsets);
        let answer = self.wire()?.call(offsets::COMMIT_VERSION, &request)?;
        taken(self.member.committed(&answer))?;
        Ok(offsets::committed(&answer) == ErrorCode::None)
    }

    /// Leaves the group.
    ///
    /// # Errors
    /// There is no coordinator at the moment.
    pub fn leave(&mut self) -> io::Result<()> {
        let request = self.member.leave_request();
        self.wire()?.call(LEAVE_VERSION, &request)?;
        self.member.begin_anew();
        Ok(())
    }
}

/// What cannot be done now is an error; what can never be as well.
pub fn taken(turn: Turn) -> io::Result<()> {
    match turn {
        Turn::Fine => Ok(()),
        Turn::Elsewhere => Err(io::Error::other("the coordinator is not there")),
        Turn::Refused(code) => Err(io::Error::other(format!("refused: {code}"))),
    }
}
