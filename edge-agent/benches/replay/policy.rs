//! What every policy does in a replay, and what comes of it.

use super::trace::Trace;

/// A cache as far as a replay needs it.
pub(crate) trait Policy {
    /// Asks for an object, which costs so much room, and stores it if it is not there. Whether it was.
    fn request(&mut self, object: u32, cost: u64) -> bool;
}

/// Of all that was asked for after the warm-up, the share that was there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratios {
    pub(crate) requests: f64,
    pub(crate) bytes: f64,
}

/// The first requests find an empty cache; a third of all do not count.
const WARM_UP: usize = 3;

/// Replays a trace. `costs` is what each object takes of the room.
pub(crate) fn replay(trace: &Trace, costs: &[u64], policy: &mut dyn Policy) -> Ratios {
    let (mut hits, mut hit_bytes, mut bytes) = (0_u64, 0_u64, 0_u64);
    let warm_up = trace.requests.len() / WARM_UP;
    for (at, &object) in trace.requests.iter().enumerate() {
        let is_hit = policy.request(object, costs[object as usize]);
        if at < warm_up {
            continue;
        }
        let size = trace.sizes[object as usize];
        bytes += size;
        if is_hit {
            hits += 1;
            hit_bytes += size;
        }
    }
    let counted = trace.requests.len() - warm_up;
    Ratios { requests: hits as f64 / counted.max(1) as f64, bytes: hit_bytes as f64 / bytes.max(1) as f64 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What each of these requests (an object's number and its cost) comes to: `+` is a hit.
    pub(crate) fn told(policy: &mut dyn Policy, requests: &[(u32, u64)]) -> String {
        requests.iter().map(|&(object, cost)| if policy.request(object, cost) { '+' } else { '-' }).collect()
    }

    struct Odd;

    impl Policy for Odd {
        fn request(&mut self, object: u32, _: u64) -> bool {
            object % 2 == 1
        }
    }

    #[test]
    fn ratios_count_requests_and_bytes_after_the_warm_up() {
        let trace = Trace { name: String::new(), sizes: vec![10, 30], requests: vec![1, 1, 0, 0, 1, 0] };
        let ratios = replay(&trace, &[1, 1], &mut Odd);
        assert_eq!(ratios, Ratios { requests: 0.25, bytes: 0.5 });
    }
}
