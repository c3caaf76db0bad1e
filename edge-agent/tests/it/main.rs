//! The edge agent, seen from outside: real sockets, a scripted origin, viewers that see every byte.

mod support;

// Hits, misses and expiry; what is forwarded and what comes back.
mod caching;
// Many viewers at once, and bodies too large to keep.
mod coalescing;
// Large objects, kept and fetched in blocks.
mod blocks;
// Herds and outages: who reaches the origin, and who waits for it.
mod herds;
// Origins that are down, slow, lying or speaking garbage.
mod origin_faults;
mod origin_health;
// Connections to origins, from the first request to the last.
mod origin_connections;
// Edges that ask other edges.
mod shield;
// TLS toward origins: whom the edge trusts, and what it shows.
mod origin_tls;
// HTTP/2 toward origins: many requests on one connection.
mod origin_http2;
// WebSockets, and all else that asks for another protocol.
mod websockets;
// gRPC, with real clients and servers.
mod grpc;
// What the edge compresses, and for whom.
mod compression;
// How an answer came about.
mod debug;
// What stands around bodies: expectations and trailers.
mod messages;
// What outlives memory, and restarts.
mod disk_tier;
// Hits that are answered at once, among requests that are not.
mod quick;
// Misses that need no hyper, on either side.
mod direct;
// Edges behind load balancers.
mod proxies;
// Requests and connections that are not as they should be.
mod viewer_faults;
// The requirements of the RFCs, one file per topic.
mod rfc;
// CloudFront's own rules.
mod cloudfront;
// What docs/conformance.md says of all these.
mod conformance;
// The program: settings, exit codes, signals.
mod program;
// The sync protocol, the last-good files, and an agent's life from start to stop.
mod sync;
// What may import what.
mod layers;
// The disk engine, its files, and what can happen to them.
mod disk;
// What the measurement of hit ratios is made of: the reference policies, the traces, the harness.
#[path = "../../benches/replay/replay.rs"]
#[allow(dead_code, reason = "its main function is elsewhere")]
mod replay;
