//! What is written is read, and nothing else.

use http::HeaderValue;
use proptest::{collection::vec, option, prelude::*};

use super::*;

fn moments() -> impl Strategy<Value = Vec<Timestamp>> {
    let near = (1_700_000_000_000..1_800_000_000_000u64).boxed();
    vec(prop_oneof![near, Just(0), Just(u64::MAX), any::<u64>()].prop_map(Timestamp::from_unix_millis), 8)
}

prop_compose! {
    fn terms()(
        at in moments(),
        flags in any::<[bool; 4]>(),
        lifetime in any::<u64>(),
        age in any::<u32>(),
        source in prop::sample::select(&Source::ALL[..]),
    ) -> Terms {
        Terms {
            freshness: Freshness {
                lifetime: Duration::from_millis(lifetime),
                source,
                initial_age: Duration::from_secs(age.into()),
                fresh_until: at[0],
            },
            validate_always: flags[0],
            immutable: flags[1],
            stale_on_request: flags[2],
            while_revalidate_until: at[1],
            if_error_until: at[2],
            if_unreachable_until: at[3],
            hold_until: at[4],
            held_for: if flags[3] { Failing::Unreachable } else { Failing::Error },
            kept_until: at[5],
        }
    }
}

fn vary() -> impl Strategy<Value = Option<Vary>> {
    let names = vec("(accept|accept-encoding|cookie|x-[a-c])", 0..4);
    (names, vec("[a-z, ;=]{0,12}", 0..4)).prop_map(|(names, values)| {
        let mut response = HeaderMap::new();
        response.insert("vary", names.join(", ").parse().expect("value"));
        let mut request = HeaderMap::new();
        for (name, value) in names.iter().zip(values) {
            request.insert(name.parse::<HeaderName>().expect("name"), value.parse().expect("value"));
        }
        Vary::of(&response, &request).expect("readable")
    })
}

fn blocks() -> impl Strategy<Value = Option<Blocks>> {
    option::of((any::<u64>(), BLOCK_BYTES + 1..u64::MAX).prop_map(|(id, length)| Blocks { id, length }))
}

prop_compose! {
    fn heads()(
        status in prop::sample::select(&[200u16, 204, 301, 404, 299, 599][..]),
        fields in vec(("(etag|set-cookie|x-[a-z]{1,5})", vec(b' '..=255u8, 0..20)), 0..8),
        terms in terms(),
        (response, delay, date, began) in (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>()),
        vary in vary(),
        groups in vec("[ -~é]{0,9}", 0..4),
        blocks in blocks(),
        compressed in prop::sample::select(&[Compressed::No, Compressed::Yes, Compressed::TagWeakened][..]),
    ) -> Unpacked {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name.parse::<HeaderName>().expect("name"), value);
            }
        }
        if let Some(blocks) = blocks {
            headers.insert("content-length", blocks.length.into());
        }
        let response = Timestamp::from_unix_millis(response);
        Unpacked {
            status: blocks.map_or(StatusCode::from_u16(status).expect("status"), |_| StatusCode::OK),
            headers,
            timing: Timing { request: response.before(Duration::from_millis(delay.into())), response },
            date: Timestamp::from_unix_millis(date),
            terms,
            vary,
            groups: groups.iter().map(|group| group.as_str().into()).collect(),
            began: Epoch::from_number(began),
            blocks,
            compressed,
        }
    }
}

fn check_same(a: &Unpacked, b: &Unpacked) {
    assert_eq!((a.status, &a.headers), (b.status, &b.headers));
    assert_eq!((a.timing.request, a.timing.response), (b.timing.request, b.timing.response));
    assert_eq!((a.date, a.terms, a.began), (b.date, b.terms, b.began));
    assert_eq!((&a.vary, &a.groups, &a.blocks), (&b.vary, &b.groups, &b.blocks));
    assert_eq!(a.compressed, b.compressed);
    let lines = |vary: &Option<Vary>| {
        vary.iter()
            .flat_map(|vary| vary.written().map(|(.., line)| line.map(<[u8]>::to_vec)).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&a.vary), lines(&b.vary));
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(head in heads()) {
        check_same(&head, &head.clone().pack().unpack());
    }

    #[test]
    fn what_is_written_is_read(key in vec(any::<u8>(), 0..40), head in heads()) {
        let packed = head.clone().pack();
        let (read_key, read) = decode(&encode(&key, &packed)).expect("what was written");
        prop_assert_eq!(&*read_key, &key[..]);
        prop_assert_eq!(read.text(), packed.text());
        check_same(&head, &read.unpack());
    }

    #[test]
    fn what_is_cut_is_refused(head in heads(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(b"key", &head.pack());
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert!(decode(cut).is_err());
        prop_assert!(decode(&[&bytes[..], b"x"].concat()).is_err());
    }

    /// A changed byte may make another head, but never one that could not have been written.
    #[test]
    fn what_is_changed_is_refused_or_a_head(head in heads(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(b"key", &head.pack());
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok((key, head)) = decode(&bytes) {
            prop_assert_eq!(encode(&key, &head), bytes);
        }
    }
}

/// Of an object in blocks.
const LENGTH: u64 = 3 << 20;

#[test]
fn nonsense_is_refused() {
    let head = |status: u16, blocks: Option<Blocks>| {
        let status = StatusCode::from_u16(status).expect("status");
        let mut head = Unpacked { status, blocks, ..Unpacked::sample(Timestamp::default(), Duration::ZERO) };
        head.headers.extend(blocks.map(|_| (http::header::CONTENT_LENGTH, HeaderValue::from(LENGTH))));
        encode(b"k", &head.pack())
    };
    let blocks = |length| Some(Blocks { id: 1, length });
    let refused = |bytes: &[u8]| decode(bytes).expect_err("nonsense");
    assert!(decode(&head(200, None)).is_ok() && decode(&head(200, blocks(LENGTH))).is_ok());
    assert_eq!(refused(&[]), Error::Length);
    assert_eq!(refused(&[VERSION + 1]), Error::Version);
    assert_eq!(refused(&head(206, blocks(LENGTH))), Error::Nonsense("length"));
    assert_eq!(refused(&head(200, blocks(LENGTH + 1))), Error::Nonsense("length"));
    assert_eq!(refused(&head(200, blocks(BLOCK_BYTES))), Error::Nonsense("length"));
    assert_eq!(refused(&head(200, blocks(0))), Error::Nonsense("length"));
    assert_eq!(refused(&head(100, None)), Error::Nonsense("text"));
    let good = head(200, None);
    let text = good.windows(2).position(|two| two == b"OK").expect("text");
    for (at, to, error) in [
        (text, b'\r', Error::Nonsense("text")),
        (text - 2, b'1', Error::Nonsense("text")),
        (text + 3, b' ', Error::Nonsense("text")),
        // Another status than the text says.
        (text + 4, 201, Error::Nonsense("text")),
        // The high bytes of the initial age, the source, and a flag.
        (text + 4 + 2 + 10 * 8 + 7, 1, Error::Nonsense("time")),
        (text + 4 + 2 + 11 * 8, 9, Error::Nonsense("time")),
        (text + 4 + 2 + 11 * 8 + 1, 2, Error::Nonsense("flag")),
        // Longer than anything.
        (4, 255, Error::Length),
    ] {
        let mut bytes = good.clone();
        bytes[at] = to;
        assert_eq!(refused(&bytes), error, "{at}");
    }
}
