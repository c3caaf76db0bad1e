//! The PROXY protocol (haproxy, "The PROXY protocol", versions 1 and 2): what a load balancer that passes connections on says first, of
//! whoever opened them.
//!
//! A header is read to its last byte and not beyond, since what follows is read in another way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What one of version 1 begins with.
const PREFIX: &[u8] = b"PROXY ";
/// Bytes of a header of version 1, line end included ("The PROXY protocol", section 2.1).
const LINE_BYTES_MAX: usize = 107;
/// Bytes of a header of version 2. The protocol allows 65,551; a load balancer's own TLVs take some hundred, a client certificate's names
/// not many more.
pub(crate) const HEADER_BYTES_MAX: usize = 4096;
/// Bytes of a header of version 2 before its addresses.
const FIXED_BYTES: usize = SIGNATURE.len() + 4;
/// Bytes of two addresses and ports: of IPv4, of IPv6, and of two UNIX paths.
const INET_BYTES: usize = 12;
const INET6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;
/// The type of the TLV that tells of TLS, and the bit in it for a connection that came with TLS.
const TYPE_SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// Who opened the connection; `None` if the header does not say, or the proxy itself did (to see whether anybody is there).
    pub(crate) source: Option<SocketAddr>,
    /// Whether it came with TLS, if the header says.
    pub(crate) tls: Option<bool>,
}

/// The bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What bytes from the beginning of a connection come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// At least so many more belong to the header.
    Needs(usize),
    /// A whole header, and nothing else.
    Whole(Header),
}

/// Reads a header.
///
/// # Errors
/// If what comes is none, or ends.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, Malformed> {
    let mut bytes = Vec::with_capacity(LINE_BYTES_MAX);
    loop {
        match parse(&bytes)? {
            Parsed::Whole(header) => return Ok(header),
            Parsed::Needs(more) => {
                let come = bytes.len();
                bytes.resize(come + more, 0);
                stream.read_exact(&mut bytes[come..]).await.map_err(|_| Malformed)?;
            }
        }
    }
}

/// Reads what has come, which is no more than was asked for.
///
/// # Errors
/// If no header begins so.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if bytes.len() < SIGNATURE.len() {
        return Ok(Parsed::Needs(SIGNATURE.len() - bytes.len()));
    }
    if bytes.starts_with(PREFIX) {
        return match bytes.last() {
            Some(b'\n') => line(bytes).map(Parsed::Whole),
            _ if bytes.len() < LINE_BYTES_MAX => Ok(Parsed::Needs(1)),
            _ => Err(Malformed),
        };
    }
    if !bytes.starts_with(SIGNATURE) {
        return Err(Malformed);
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(Parsed::Needs(FIXED_BYTES - bytes.len()));
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED_BYTES + length > HEADER_BYTES_MAX {
        return Err(Malformed);
    }
    match length.checked_sub(rest.len()) {
        Some(0) => binary(version_and_command, family, rest).map(Parsed::Whole),
        Some(more) => Ok(Parsed::Needs(more)),
        None => Err(Malformed),
    }
}

/// A header of version 1.
fn line(bytes: &[u8]) -> Result<Header, Malformed> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix("\r\n")).ok_or(Malformed)?;
    let mut words = text.split(' ').skip(1);
    let mut word = || words.next().ok_or(Malformed);
    let family = word()?;
    if family == "UNKNOWN" {
        // Whatever follows is to be ignored.
        return Ok(Header::default());
    }
    let (source, destination): (IpAddr, IpAddr) = (address(word()?)?, address(word()?)?);
    let (port, _) = (port(word()?)?, port(word()?)?);
    let is_of_family = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    match is_of_family && words.next().is_none() {
        true => Ok(Header { source: Some(SocketAddr::new(source, port)), tls: None }),
        false => Err(Malformed),
    }
}

fn address(text: &str) -> Result<IpAddr, Malformed> {
    text.parse().map_err(|_| Malformed)
}

fn port(text: &str) -> Result<u16, Malformed> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(Malformed)
}

/// A header of version 2, behind its signature.
fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Result<Header, Malformed> {
    match version_and_command {
        0x20 => return Ok(Header::default()),
        0x21 => {}
        _ => return Err(Malformed),
    }
    if family & 0x0f > 2 {
        return Err(Malformed);
    }
    let (source, tlvs) = match family >> 4 {
        // Nothing is said of how long the addresses are.
        0 => return Ok(Header::default()),
        1 => {
            let (addresses, tlvs) = rest.split_first_chunk::<INET_BYTES>().ok_or(Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let ip = Ipv4Addr::new(a, b, c, d);
            (Some(SocketAddr::new(ip.into(), u16::from_be_bytes([high, low]))), tlvs)
        }
        2 => {
            let (addresses, tlvs) = rest.split_first_chunk::<INET6_BYTES>().ok_or(Malformed)?;
            let ip = addresses.first_chunk::<16>().copied().map(Ipv6Addr::from).ok_or(Malformed)?;
            (Some(SocketAddr::new(ip.into(), u16::from_be_bytes([addresses[32], addresses[33]]))), tlvs)
        }
        3 => (None, rest.get(UNIX_BYTES..).ok_or(Malformed)?),
        _ => return Err(Malformed),
    };
    Ok(Header { source, tls: tls(tlvs)? })
}

/// What the TLVs say of TLS; all others are skipped.
fn tls(mut tlvs: &[u8]) -> Result<Option<bool>, Malformed> {
    let mut said = None;
    while let Some((head, rest)) = tlvs.split_first_chunk::<3>() {
        let [kind, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        if kind == TYPE_SSL {
            said = Some(value.first().ok_or(Malformed)? & CLIENT_SSL != 0);
        }
        tlvs = rest;
    }
    if tlvs.is_empty() { Ok(said) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a header and what follows it, as it is read from a connection.
    fn check(bytes: &[u8], expected: Result<(Header, &[u8]), Malformed>) {
        let mut left = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let read = runtime.block_on(read(&mut left));
        assert_eq!(read.map(|header| (header, left)), expected, "{:?}", bytes.escape_ascii().to_string());
    }

    fn from(source: &str) -> Header {
        Header { source: Some(source.parse().expect("source")), tls: None }
    }

    fn v2(command: u8, family: u8, length: usize, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(length).expect("length").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const INET: [u8; INET_BYTES] = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 80];

    #[test]
    fn version_1_says_who_opened_a_connection() {
        let check = |line: &str, header| check(format!("{line}\r\nGET").as_bytes(), Ok((header, b"GET")));
        check("PROXY TCP4 192.0.2.1 198.51.100.1 4711 80", from("192.0.2.1:4711"));
        check("PROXY TCP6 2001:db8::1 2001:db8::2 4711 80", from("[2001:db8::1]:4711"));
        check("PROXY UNKNOWN", Header::default());
        check("PROXY UNKNOWN ffff::1 anything at all", Header::default());
        let longest = format!("PROXY UNKNOWN {}", "x".repeat(LINE_BYTES_MAX - 16));
        assert_eq!(longest.len() + 2, LINE_BYTES_MAX);
        check(&longest, Header::default());
    }

    #[test]
    fn version_2_says_who_opened_a_connection() {
        let check = |bytes: Vec<u8>, header| check(&[&bytes, &b"GET"[..]].concat(), Ok((header, b"GET")));
        check(v2(0x21, 0x11, 12, &INET), from("192.0.2.1:4711"));
        check(v2(0x21, 0x12, 12, &INET), from("192.0.2.1:4711"));
        let mut inet6 = [0; INET6_BYTES];
        (inet6[0], inet6[1], inet6[15], inet6[32], inet6[33]) = (0x20, 1, 7, 0x12, 0x67);
        check(v2(0x21, 0x21, 36, &inet6), from("[2001::7]:4711"));
        check(v2(0x20, 0x11, 12, &INET), Header::default());
        check(v2(0x20, 0x00, 3, b"abc"), Header::default());
        check(v2(0x21, 0x00, 0, b""), Header::default());
        check(v2(0x21, 0x31, UNIX_BYTES, &[b'/'; UNIX_BYTES]), Header::default());
    }

    #[test]
    fn of_the_tlvs_only_tls_counts() {
        let check = |tlvs: &[u8], tls| {
            let rest = [&INET[..], tlvs].concat();
            let expected = Header { tls, ..from("192.0.2.1:4711") };
            check(&v2(0x21, 0x11, rest.len(), &rest), Ok((expected, b"")));
        };
        check(&[], None);
        check(&[4, 0, 3, 0, 0, 0], None);
        check(&[0x20, 0, 5, 1, 0, 0, 0, 0], Some(true));
        check(&[0x20, 0, 5, 0, 0, 0, 0, 0], Some(false));
        check(&[0xea, 0, 1, 9, 0x20, 0, 10, 7, 0, 0, 0, 0, 0x21, 0, 2, b'x', b'y', 4, 0, 0], Some(true));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [
            &b""[..],
            b"PROXY",
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\n",
            b"PROXY \r\n     ",
            b"PROXY TCP4\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80 \r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +711 80\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 99999 80\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.1 4711 80\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.1 4711 80\r\n",
            b"PROXY TCP4 192.0.2.1 \xff 4711 80\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 4711 80\r\n",
            b"proxy tcp4 192.0.2.1 198.51.100.1 4711 80\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1",
        ] {
            check(bytes, Err(Malformed));
        }
        let endless = [PREFIX, &[b'x'; 2 * LINE_BYTES_MAX]].concat();
        check(&endless, Err(Malformed));
        check(&v2(0x11, 0x11, 12, &INET), Err(Malformed));
        check(&v2(0x22, 0x11, 12, &INET), Err(Malformed));
        check(&v2(0x21, 0x41, 12, &INET), Err(Malformed));
        check(&v2(0x21, 0x13, 12, &INET), Err(Malformed));
        check(&v2(0x21, 0x11, 11, &INET), Err(Malformed));
        check(&v2(0x21, 0x21, 12, &INET), Err(Malformed));
        check(&v2(0x21, 0x31, 12, &INET), Err(Malformed));
        check(&v2(0x21, 0x11, 13, &INET), Err(Malformed));
        check(&v2(0x21, 0x11, HEADER_BYTES_MAX, &[0; HEADER_BYTES_MAX]), Err(Malformed));
        for tlvs in [&[4][..], &[4, 0, 1], &[0x20, 0, 0], &[4, 0, 0, 4, 0]] {
            let rest = [&INET[..], tlvs].concat();
            check(&v2(0x21, 0x11, rest.len(), &rest), Err(Malformed));
        }
    }

    #[test]
    fn no_more_is_read_than_belongs_to_the_header() {
        for bytes in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x21, 0x11, 12, &INET)] {
            for end in 0..bytes.len() {
                let Ok(Parsed::Needs(more)) = parse(&bytes[..end]) else { panic!("{end} of {bytes:?}") };
                assert!(end + more <= bytes.len() && more > 0, "{end} of {bytes:?}");
            }
            assert!(matches!(parse(&bytes), Ok(Parsed::Whole(_))));
        }
    }
}
