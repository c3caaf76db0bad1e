//! What the RFCs require of a shared cache, one file per topic; each scenario names its section. "9111" and the like are RFC numbers.

mod age;
mod authorization;
mod cache_status;
mod conditional;
mod freshness;
mod groups;
mod head;
mod headers;
mod incomplete;
mod informational;
mod invalidation;
mod methods;
mod qualified;
mod ranges;
mod request_directives;
mod spoiling;
mod stale;
mod storing;
mod targeted;
mod validation;
mod vary;
