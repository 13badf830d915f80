//! The configuration of a process: Kafka's `server.properties` format and names, every value with its source.
//!
//! Invariant: a value is checked where it is read, and everything that is wrong is told at once, a line each: what it is, where it
//! stands, why it cannot be, and what to write instead. What has no effect is told too.
//! Knows the names of the roles and their addresses, but nothing of what the roles do.

mod caveats;
mod deviations;
mod explain;
mod key;
mod meta_properties;
mod problem;
mod properties;
mod server;
mod settings;
mod table;

pub use deviations::{DEVIATIONS, Deviation};
pub use explain::ExplainRow;
pub use key::{KeyDef, Kind, Meaning, Range};
pub use meta_properties::{
    META_PROPERTIES, MetaProperties, MetaPropertiesError, read_meta_properties,
    write_meta_properties,
};
pub use problem::{ConfigErrors, Problem};
pub use properties::{ParsePropertiesError, Property, parse_properties};
pub use server::{
    CleanerConfig, ClientListener, ControllerListener, GroupsConfig, InternalAddresses,
    NetworkConfig, QuorumConfig, QuorumVoter, Role, Roles, ServerConfig, StorageConfig,
    TimingConfig, TopicDefaults,
};
pub use settings::{
    ConfigFile, ConfigSources, MAX_CONFIG_FILE_BYTES, Settings, Source, process_environment,
    read_config_file,
};
pub use table::{KeyTable, server_keys};
