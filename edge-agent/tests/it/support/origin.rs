//! An origin that does as it is told, byte for byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What an origin does with a request: writes to the stream what it likes. Returns whether the connection goes on.
type Script = dyn Fn(&Received, &mut TcpStream) -> bool + Send + Sync;

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// `GET /path HTTP/1.1`.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// A running origin. Its threads end with the process.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Origin {
    pub(crate) fn start(script: impl Fn(&Received, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        thread::spawn({
            let received = Arc::clone(&received);
            move || {
                for stream in listener.incoming().flatten() {
                    let (script, received) = (Arc::clone(&script), Arc::clone(&received));
                    thread::spawn(move || serve(stream, &script, &received));
                }
            }
        });
        Self { address, received }
    }

    /// An origin that answers every request with these headers and this body.
    pub(crate) fn fixed(headers: &str, body: &str) -> Self {
        let response = response("200 OK", headers, body);
        Self::start(move |_, stream| stream.write_all(response.as_bytes()).is_ok())
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("lock").clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.received.lock().expect("lock").len()
    }
}

/// A response with a length.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn serve(mut stream: TcpStream, script: &Arc<Script>, received: &Mutex<Vec<Received>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("clone"));
    while let Some(request) = read(&mut reader) {
        received.lock().expect("lock").push(request.clone());
        if !script(&request, &mut stream) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    // An origin that is willing says so before it reads (RFC 9110 section 10.1.1).
    if headers.iter().any(|(name, value)| name == "expect" && value.eq_ignore_ascii_case("100-continue")) {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut request = Received { line: lines[0].clone(), headers, body: Vec::new() };
    if let Some(length) = request.header("content-length").and_then(|l| l.parse::<usize>().ok()) {
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
    } else if request.header("transfer-encoding").is_some() {
        request.body = read_chunked(reader)?;
    }
    Some(request)
}

fn read_chunked(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        let mut end = String::new();
        reader.read_line(&mut end).ok()?;
        if size == 0 {
            return Some(body);
        }
    }
}
