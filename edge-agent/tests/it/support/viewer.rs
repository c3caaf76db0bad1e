//! A viewer that sees every byte.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::edge::HOST;

/// Longer than anything takes that goes right, so that what goes wrong ends at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended where the message said it would.
    pub(crate) complete: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// A connection to an edge.
pub(crate) struct Viewer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One GET on a connection of its own.
pub(crate) fn get(edge: SocketAddr, path: &str, headers: &[&str]) -> Response {
    Viewer::connect(edge).request("GET", path, headers)
}

impl Viewer {
    pub(crate) fn connect(edge: SocketAddr) -> Self {
        let stream = TcpStream::connect(edge).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[&str]) -> Response {
        self.send(method, path, headers, b"");
        self.response(method == "HEAD")
    }

    /// A GET of `/a`; `None` if the edge closes instead of answering.
    pub(crate) fn try_request(&mut self, headers: &[&str]) -> Option<Response> {
        self.send("GET", "/a", headers, b"");
        self.try_response(false)
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) {
        let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
        let length =
            if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        self.raw(format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\n{length}{headers}\r\n").as_bytes());
        self.raw(body);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("write");
    }

    /// The same; `false` if the edge takes no more.
    pub(crate) fn try_raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Has nothing more to say.
    pub(crate) fn end(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    }

    /// The next response; `head_only` if it answers a HEAD.
    pub(crate) fn response(&mut self, head_only: bool) -> Response {
        self.try_response(head_only).expect("a response")
    }

    /// The next response, `None` if the edge closes instead.
    pub(crate) fn try_response(&mut self, head_only: bool) -> Option<Response> {
        let (status, headers) = self.head()?;
        Some(self.rest(status, headers, head_only))
    }

    /// The next response that is not an interim one (RFC 9110 section 15.2).
    pub(crate) fn final_response(&mut self, head_only: bool) -> Option<Response> {
        loop {
            let (status, headers) = self.head()?;
            if status >= 200 {
                return Some(self.rest(status, headers, head_only));
            }
        }
    }

    fn rest(&mut self, status: u16, headers: Vec<(String, String)>, head_only: bool) -> Response {
        let mut response = Response { status, headers, body: Vec::new(), complete: true };
        if head_only || status == 204 || status == 304 {
            return response;
        }
        if let Some(length) = response.header("content-length").map(|l| l.parse().expect("length")) {
            while self.buffer.len() < length && self.fill() {}
            response.complete = self.buffer.len() >= length;
            response.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        } else if response.header("transfer-encoding") == Some("chunked") {
            response.complete = self.chunks(&mut response.body).is_some();
        } else {
            while self.fill() {}
            response.body = std::mem::take(&mut self.buffer);
        }
        response
    }

    /// Status and headers of the next response, leaving the body for later.
    pub(crate) fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if !self.fill() {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("text");
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
        Some((status, headers.collect()))
    }

    /// At least this many bytes of what comes next.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        while self.buffer.len() < n && self.fill() {}
        self.buffer.drain(..n.min(self.buffer.len())).collect()
    }

    /// Whether the edge has closed the connection, once it has.
    pub(crate) fn is_closed(&mut self) -> bool {
        !self.fill()
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            while self.buffer.len() < size + 2 {
                if !self.fill() {
                    body.append(&mut self.buffer);
                    return None;
                }
            }
            body.extend(self.buffer.drain(..size + 2).take(size));
            if size == 0 {
                return Some(());
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line).ok();
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                n > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the edge neither answers nor closes: {error}"),
        }
    }
}
