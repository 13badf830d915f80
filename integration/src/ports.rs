//! Free ports of the loopback interface.

use std::net::TcpListener;

/// A port that nobody listens on now. Another process may take it before it is used; tests then fail loudly.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The first of `count` neighbouring ports that nobody listens on now.
pub fn free_ports(count: u16) -> u16 {
    for _ in 0..1_000 {
        let first = free_port();
        let Some(last) = first.checked_add(count - 1) else { continue };
        if (first..=last).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no {count} neighbouring ports are free");
}
