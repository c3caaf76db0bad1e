//! A wire: a connection to an origin on which plain requests are made without hyper.
//!
//! Plain is a GET without a body, in clear, whose response says in the one usual way how long it is, and that the connection goes on.
//! Any other response is hyper's to read: it is handed the connection with what has come of it, as if it had sent the request itself.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use httparse::{Header, ParserConfig, Status};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};
use tokio_util::io::poll_read_buf;

use super::response::ResponseError;

/// Bytes for a head, and for a small body with it.
const FIRST_READ_BYTES: usize = 4 << 10;
/// A head that has not come whole in so many reads is hyper's, which does not begin at the front again with each of them.
const HEAD_READS_MAX: usize = 4;
/// Header fields of a plain response; hyper does not take more of any.
const FIELDS_MAX: usize = 100;
/// Fields that are added to a response on its way.
const ADDED_FIELDS: usize = 3;
/// Digits of a length that surely fits.
const LENGTH_DIGITS_MAX: usize = 19;
/// A body up to this size is waited for, so that it can be stored and handed on in one piece;
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// but no longer than this: then it is handed on as it comes.
const SMALL_PATIENCE: Duration = Duration::from_millis(5);
/// Bytes of a larger body for which there is room at first.
const READ_BYTES: usize = 64 << 10;
/// When there is less room than this, it is time for more.
const READ_BYTES_MIN: usize = 4 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: RefCell<TcpStream>,
    /// Bytes of the last response's body that have not been read.
    left: Cell<u64>,
    /// Whether it is of no more use: it has ended early, or more came than was announced.
    broken: Cell<bool>,
}

/// What a request came to.
pub(super) enum Exchanged {
    /// A plain response, with what has come of its body.
    Plain(Response<Bytes>),
    /// Another, of which this has come.
    Other(Bytes),
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: stream.into(), left: Cell::default(), broken: Cell::default() }
    }

    /// Whether another request can be made on it: the last response has been read, and nothing has come that nobody asked for.
    pub(super) fn is_ready(&self) -> bool {
        // As long as the kernel has told of nothing, this asks it nothing.
        let nothing_came = || match self.stream.borrow().try_read(&mut [0]) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            Ok(_) => false,
        };
        self.left.get() == 0 && !self.broken.get() && nothing_came()
    }

    /// The connection itself.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// Sends the head of a request, and reads that of the response. Given up half-way, the connection is of no more use.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Exchanged> {
        let stream = self.stream.get_mut();
        stream.write_all(request).await?;
        // No memory for what has not come.
        poll_fn(|cx| stream.poll_read_ready(cx)).await?;
        let mut bytes = Vec::with_capacity(FIRST_READ_BYTES);
        for _ in 0..HEAD_READS_MAX {
            let room = FIRST_READ_BYTES - bytes.len();
            let came = poll_fn(|cx| poll_read_buf(Pin::new(&mut *stream), cx, &mut (&mut bytes).limit(room)));
            if came.await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let came = Bytes::from(bytes);
            match read_head(&came) {
                Received::Part => bytes = came.into(),
                Received::Other => return Ok(Exchanged::Other(came)),
                Received::Plain(response, head_bytes, length) => {
                    let mut body = came.slice(head_bytes..);
                    if body.len() as u64 > length {
                        self.broken.set(true);
                        body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                    }
                    if length <= SMALL_BYTES_MAX && (body.len() as u64) < length {
                        body = Box::pin(rest_of_small(stream, &body, length)).await;
                    }
                    self.left.set(length - body.len() as u64);
                    return Ok(Exchanged::Plain(response.map(|()| body)));
                }
            }
            if bytes.len() == FIRST_READ_BYTES {
                break;
            }
        }
        Ok(Exchanged::Other(bytes.into()))
    }
}

/// What comes in a little while of a small body that has come in part. If it breaks off, whoever reads on will see that.
async fn rest_of_small(stream: &mut TcpStream, first: &[u8], length: u64) -> Bytes {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut body = BytesMut::with_capacity(length);
    body.extend_from_slice(first);
    let rest = async {
        while body.len() < length {
            let room = length - body.len();
            let came = poll_fn(|cx| poll_read_buf(Pin::new(&mut *stream), cx, &mut (&mut body).limit(room)));
            if !came.await.is_ok_and(|came| came > 0) {
                break;
            }
        }
    };
    let _ = timeout(SMALL_PATIENCE, rest).await;
    body.freeze()
}

/// What has come of a response.
enum Received {
    /// Not the whole head.
    Part,
    /// A plain one, whose head has so many bytes and its body so many.
    Plain(Response<()>, usize, u64),
    /// Another, or none.
    Other,
}

fn read_head(bytes: &Bytes) -> Received {
    let mut fields = [MaybeUninit::<Header<'_>>::uninit(); FIELDS_MAX];
    let mut head = httparse::Response::new(&mut []);
    let read = ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, &mut fields);
    match read {
        Ok(Status::Complete(head_bytes)) => match plain(&head, bytes) {
            Some((response, length)) => Received::Plain(response, head_bytes, length),
            None => Received::Other,
        },
        Ok(Status::Partial) => Received::Part,
        Err(_) => Received::Other,
    }
}

/// The response with the length of its body, if it is plain.
fn plain(head: &httparse::Response<'_, '_>, bytes: &Bytes) -> Option<(Response<()>, u64)> {
    let status = StatusCode::from_u16(head.code?).ok()?;
    // An interim response is not the last; HTTP/1.0 ends with the connection.
    if status.is_informational() || head.version? != 1 {
        return None;
    }
    // With room for what will be added.
    let (mut headers, mut length) = (HeaderMap::with_capacity(head.headers.len() + ADDED_FIELDS), None);
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name {
            header::CONTENT_LENGTH if length.replace(digits(field.value)?).is_some() => return None,
            header::TRANSFER_ENCODING => return None,
            header::CONNECTION if !field.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            _ => {}
        }
        headers.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?);
    }
    let has_no_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if has_no_body { 0 } else { length? };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = Version::HTTP_11;
    *response.headers_mut() = headers;
    Some((response, length))
}

fn digits(text: &[u8]) -> Option<u64> {
    let fits = (1..=LENGTH_DIGITS_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The body of a plain response.
#[derive(Debug)]
pub struct WireBody {
    /// `None` if there is nothing more to be read.
    wire: Option<Rc<Wire>>,
    /// What has come and was not handed on.
    come: Bytes,
    /// What the rest is read to.
    room: BytesMut,
    /// Bytes that were read since others had their turn.
    turn_bytes: usize,
    /// Why there is no rest, for who asks the next time.
    ended: Option<ResponseError>,
}

impl WireBody {
    pub(super) fn new(wire: &Rc<Wire>, come: Bytes) -> Self {
        let wire = Some(wire).filter(|wire| wire.left.get() > 0).cloned();
        Self { wire, come, room: BytesMut::new(), turn_bytes: 0, ended: None }
    }

    /// All of it, if it has come whole, and nothing was handed on.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        self.wire.is_none().then_some(&self.come)
    }

    /// Whether it is time that others have their turn. Says so once. An origin may send faster than it is read, for as long as it likes.
    pub(super) fn has_had_its_turn(&mut self) -> bool {
        let is_over = self.turn_bytes >= READ_BYTES;
        if is_over {
            self.turn_bytes = 0;
        }
        is_over
    }

    fn left(&self) -> u64 {
        self.wire.as_ref().map_or(0, |wire| wire.left.get())
    }

    fn poll_read(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stream = wire.stream.borrow_mut();
        // No memory for what has not come.
        ready!(stream.poll_read_ready(cx))?;
        let left = usize::try_from(wire.left.get()).unwrap_or(usize::MAX);
        if self.room.capacity() < left.min(READ_BYTES_MIN) {
            self.room.reserve(left.min(READ_BYTES));
        }
        let now = left.min(self.room.capacity());
        poll_read_buf(Pin::new(&mut *stream), cx, &mut (&mut self.room).limit(now))
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let this = &mut *self;
        if !this.come.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.come)))));
        }
        if let Some(error) = this.ended.take() {
            this.wire = None;
            return Poll::Ready(Some(Err(error)));
        }
        let Some(wire) = &this.wire else { return Poll::Ready(None) };
        let wire = Rc::clone(wire);
        match ready!(this.poll_read(&wire, cx)) {
            Ok(came) if came > 0 => {
                wire.left.set(wire.left.get() - came as u64);
                this.turn_bytes += came;
                this.wire = Some(wire).filter(|wire| wire.left.get() > 0);
                Poll::Ready(Some(Ok(Frame::data(this.room.split().freeze()))))
            }
            ended => {
                wire.broken.set(true);
                this.ended = Some(ended.map_or_else(ResponseError::Io, |_| ResponseError::Early));
                // What came before is to be sent before anybody hears of it: hyper sends nothing more then.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.come.is_empty() && self.wire.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.come.len() as u64 + self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Option<(u16, u64)>) {
        let bytes = Bytes::copy_from_slice(head.as_bytes());
        let read = match read_head(&bytes) {
            Received::Plain(response, head_bytes, length) => {
                assert_eq!(head_bytes, head.len(), "{head:?}");
                Some((response.status().as_u16(), length))
            }
            Received::Part => panic!("a part only: {head:?}"),
            Received::Other => None,
        };
        assert_eq!(read, expected, "{head:?}");
    }

    #[test]
    fn a_response_with_a_length_is_plain() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nETag: \"e\"\r\n\r\n", Some((200, 12)));
        check(
            "HTTP/1.1 404 Gone away\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n",
            Some((404, 0)),
        );
        check("HTTP/1.1 304 Not Modified\r\ncontent-length: 12\r\n\r\n", Some((304, 0)));
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, 0)));
        check("HTTP/1.1 200\r\ncontent-length: 1\r\nupgrade: h2c\r\n\r\n", Some((200, 1)));
    }

    #[test]
    fn a_response_is_read_field_by_field() {
        let bytes =
            Bytes::from_static(b"HTTP/1.1 200 OK\r\nX-A:  b \r\nx-a: c\r\ncontent-length: 1\r\n\r\nz");
        for end in 0..bytes.len() - 1 {
            assert!(matches!(read_head(&bytes.slice(..end)), Received::Part));
        }
        let Received::Plain(response, head_bytes, 1) = read_head(&bytes) else { panic!("not plain") };
        assert_eq!(&bytes[head_bytes..], b"z");
        assert_eq!(response.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn any_other_is_left_to_hyper() {
        for fields in [
            "",
            "content-length: \r\n",
            "content-length: +1\r\n",
            "content-length: -1\r\n",
            "content-length: 1, 1\r\n",
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 0x1\r\n",
            "content-length: 18446744073709551616\r\n",
            "transfer-encoding: chunked\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: identity\r\ncontent-length: 1\r\n",
            "content-length: 1\r\nconnection: close\r\n",
            "content-length: 1\r\nconnection: keep-alive, x\r\n",
            "content-length : 1\r\n",
            " content-length: 1\r\n",
            "content-length: 1\r\n folded\r\n",
            "content-length: 1\r\nx: a\0b\r\n",
            "content-length: 1\r\nx y: a\r\n",
        ] {
            check(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), None);
        }
        for line in
            ["HTTP/1.0 200 OK", "HTTP/1.1 100 Continue", "HTTP/1.1 101 x", "HTTP/2.0 200 OK", "200 OK"]
        {
            check(&format!("{line}\r\ncontent-length: 1\r\n\r\n"), None);
        }
        check(
            &format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n{}\r\n", "x: y\r\n".repeat(FIELDS_MAX)),
            None,
        );
    }
}
