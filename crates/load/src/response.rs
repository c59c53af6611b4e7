//! Reads HTTP/1.1 answers out of a stream of bytes, in whatever pieces they come. Bodies are not kept, but handed on to who asks
//! for them; only a head that came in part is stored, and given back once it is whole.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use super::cache::{self, CacheAnswer};

/// Longest head and longest trailer that are taken, in bytes. This is the only limit of their fields.
pub const MAX_HEAD: usize = 64 << 10;
/// Header fields for which there is room without asking for memory.
const USUAL_FIELDS: usize = 100;

/// The bytes are no answer to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer is not HTTP/1.1: {0}")]
pub struct Garbage(pub &'static str);

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Whether the connection can carry another request.
    pub keep_alive: bool,
    /// Whether it came from a cache, where it says so.
    pub cache: Option<CacheAnswer>,
}

/// What [`Parser::feed`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// All bytes were taken; the answer goes on.
    More,
    /// The answer is whole. `used` bytes belonged to it; what follows was not asked for.
    Done {
        /// The answer.
        answer: Answer,
        /// Bytes of the input that belonged to it.
        used: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are still to come.
    Length(u64),
    /// A chunk's size line; `digits` of it were read.
    Size { size: u64, digits: u8 },
    /// The rest of a size line.
    Extension { size: u64, length: usize },
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Lines behind the last chunk; `empty` as long as the present one is.
    Trailer { empty: bool, length: usize },
    /// The body ends with the connection.
    UntilClose,
}

impl State {
    /// With so many bytes less to come.
    fn less(self, taken: u64) -> Self {
        match self {
            Self::Length(left) => Self::Length(left - taken),
            Self::Chunk(left) if left > taken => Self::Chunk(left - taken),
            Self::Chunk(_) => Self::ChunkEnd,
            other => other,
        }
    }
}

/// State of one connection's answer.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// A head that came in part.
    head: Vec<u8>,
    answer: Option<Answer>,
}

impl Parser {
    /// Forgets everything, for the next answer.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are no HTTP/1.1; the connection is of no use then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, Garbage> {
        self.feed_into(bytes, |_| ())
    }

    /// The same, and gives `body` what belongs to the answer's body, part by part.
    ///
    /// # Errors
    /// As [`Self::feed`].
    pub fn feed_into(&mut self, bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<Fed, Garbage> {
        let mut at = 0;
        loop {
            if self.is_whole() {
                return self.done(at);
            }
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return Ok(Fed::More) };
            at += match self.state {
                State::Head => self.feed_head(rest)?,
                State::Length(left) | State::Chunk(left) => {
                    let (part, _) = rest.split_at(shorter(left, rest));
                    body(part);
                    self.state = self.state.less(part.len() as u64);
                    part.len()
                }
                State::UntilClose => {
                    body(rest);
                    rest.len()
                }
                _ => self.feed_chunked(rest)?,
            };
        }
    }

    /// What was stored of a head so far, or else `bytes`: for messages about what cannot be read.
    pub fn head_or<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        if self.head.is_empty() { bytes } else { &self.head }
    }

    /// The server closed the connection: the answer is whole if it was to end so.
    pub fn end(&mut self) -> Option<Answer> {
        let answer = self.answer.filter(|_| self.state == State::UntilClose);
        self.reset();
        answer
    }

    fn is_whole(&self) -> bool {
        self.state == State::Length(0)
    }

    fn done(&mut self, used: usize) -> Result<Fed, Garbage> {
        let answer = self.answer.ok_or(Garbage("a body without a head"))?;
        self.reset();
        Ok(Fed::Done { answer, used })
    }

    /// Reads the head, from the input alone where it is whole there. Returns the bytes taken.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<usize, Garbage> {
        if self.head.is_empty() {
            let Some((length, head)) = parse_head(bytes)? else {
                self.head.extend_from_slice(bytes);
                return Ok(bytes.len());
            };
            self.enter_body(&head);
            return Ok(length);
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some((length, head)) = parse_head(&self.head)? else { return Ok(bytes.len()) };
        self.head = Vec::new();
        self.enter_body(&head);
        Ok(length - before)
    }

    fn enter_body(&mut self, head: &Head) {
        if head.interim {
            return;
        }
        let keep_alive = head.keep_alive && head.body != State::UntilClose;
        self.answer = Some(Answer { status: head.status, keep_alive, cache: head.cache });
        self.state = head.body;
    }

    /// Reads on between the parts of a chunked body, by one byte. Returns the bytes taken.
    fn feed_chunked(&mut self, bytes: &[u8]) -> Result<usize, Garbage> {
        let Some(byte) = bytes.first().copied() else { return Ok(0) };
        self.state = match self.state {
            State::Size { size, digits } => match (char::from(byte).to_digit(16), byte) {
                // Leading zeros are legal and say nothing.
                (Some(0), _) if size == 0 => State::Size { size, digits: 1 },
                (Some(_), _) if digits >= 15 => return Err(Garbage("a chunk without end")),
                (Some(digit), _) => State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                (None, b';' | b' ' | b'\t' | b'\r') if digits > 0 => State::Extension { size, length: 0 },
                (None, b'\n') if digits > 0 => after_size(size),
                _ => return Err(Garbage("a chunk's size is no number")),
            },
            State::Extension { size, length } => match byte {
                b'\n' => after_size(size),
                _ if length >= MAX_HEAD => return Err(Garbage("a chunk's size line without end")),
                _ => State::Extension { size, length: length + 1 },
            },
            State::ChunkEnd => match byte {
                b'\r' => State::ChunkEnd,
                b'\n' => State::Size { size: 0, digits: 0 },
                _ => return Err(Garbage("a chunk is longer than it says")),
            },
            State::Trailer { empty, length } => match byte {
                b'\n' if empty => State::Length(0),
                _ if length >= MAX_HEAD => return Err(Garbage("a trailer without end")),
                b'\n' => State::Trailer { empty: true, length: length + 1 },
                b'\r' => State::Trailer { empty, length: length + 1 },
                _ => State::Trailer { empty: false, length: length + 1 },
            },
            other => other,
        };
        Ok(1)
    }
}

fn shorter(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

fn after_size(size: u64) -> State {
    if size == 0 { State::Trailer { empty: true, length: 0 } } else { State::Chunk(size) }
}

struct Head {
    status: u16,
    keep_alive: bool,
    cache: Option<CacheAnswer>,
    body: State,
    /// 1xx: another head follows.
    interim: bool,
}

/// Reads a head; none when it is not whole yet.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Head)>, Garbage> {
    let mut usual = [const { MaybeUninit::<Header<'_>>::uninit() }; USUAL_FIELDS];
    match parse_fields(bytes, &mut usual) {
        Err(httparse::Error::TooManyHeaders) => {
            // Each field takes a line, so that there are at most as many as lines.
            let lines = bytes.iter().take(MAX_HEAD).filter(|byte| **byte == b'\n').count();
            let mut many = vec![MaybeUninit::<Header<'_>>::uninit(); lines + 1];
            parse_fields(bytes, &mut many).map_err(unreadable)?
        }
        other => other.map_err(unreadable)?,
    }
}

fn unreadable(error: httparse::Error) -> Garbage {
    Garbage(match error {
        httparse::Error::Version => "not HTTP/1.x",
        httparse::Error::Status => "a status line that cannot be read",
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            "a header field that cannot be read"
        }
        _ => "a head that cannot be read",
    })
}

/// Reads a head into `fields`; the inner result is what its fields come to.
fn parse_fields<'b>(
    bytes: &'b [u8],
    fields: &mut [MaybeUninit<Header<'b>>],
) -> Result<Result<Option<(usize, Head)>, Garbage>, httparse::Error> {
    let mut response = Response::new(&mut []);
    // A field may go on in the next line (RFC 9112, 5.2): obsolete, and still sent.
    let parsed = ParserConfig::default()
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, fields)?;
    Ok(match parsed {
        Status::Complete(length) if length <= MAX_HEAD => head(&response).map(|head| Some((length, head))),
        Status::Partial if bytes.len() <= MAX_HEAD => Ok(None),
        _ => Err(Garbage("a head without end")),
    })
}

fn head(response: &Response<'_, '_>) -> Result<Head, Garbage> {
    let status = response.code.ok_or(Garbage("no status"))?;
    let keep_alive = response.version == Some(1);
    let mut fields = Fields { keep_alive, cache: None, length: None, coding: Coding::Plain };
    for header in response.headers.iter() {
        fields.take(header)?;
    }
    let body = match (status, fields.coding, fields.length) {
        (101, ..) => return Err(Garbage("it changes the protocol")),
        (100..200 | 204 | 304, ..) => State::Length(0),
        (_, Coding::Chunked, _) => State::Size { size: 0, digits: 0 },
        (_, Coding::Plain, Some(length)) => State::Length(length),
        (_, Coding::Other, _) | (_, Coding::Plain, None) => State::UntilClose,
    };
    let Fields { keep_alive, cache, .. } = fields;
    Ok(Head { status, keep_alive, cache, body, interim: status < 200 })
}

#[derive(Clone, Copy)]
enum Coding {
    Plain,
    Chunked,
    Other,
}

/// The header fields that say where the answer ends, and whence it came.
struct Fields {
    keep_alive: bool,
    cache: Option<CacheAnswer>,
    length: Option<u64>,
    coding: Coding,
}

impl Fields {
    fn take(&mut self, header: &Header<'_>) -> Result<(), Garbage> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let tokens = || header.value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        if is("content-length") {
            // Several of them, or a list, are one length said again (RFC 9110, 8.6).
            for digits in tokens() {
                let number = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
                let length = number.and_then(|d| d.parse().ok()).ok_or(Garbage("Content-Length is no number"))?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(Garbage("two different Content-Length"));
                }
                self.length = Some(length);
            }
        } else if is("transfer-encoding") {
            let last = tokens().rfind(|coding| !coding.is_empty()).unwrap_or_default();
            self.coding = if last.eq_ignore_ascii_case(b"chunked") {
                Coding::Chunked
            } else if last.eq_ignore_ascii_case(b"identity") {
                // Gone from the standard since RFC 7230; it never changed anything.
                Coding::Plain
            } else {
                Coding::Other
            };
        } else if is("connection") {
            if tokens().any(|token| token.eq_ignore_ascii_case(b"close")) {
                self.keep_alive = false;
            } else if tokens().any(|token| token.eq_ignore_ascii_case(b"keep-alive")) {
                self.keep_alive = true;
            }
        } else {
            // Several fields are one list: the best word counts.
            self.cache = self.cache.max(cache::of_field(header.name, header.value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream of bytes comes to: the answers, and how it ended.
    fn read(pieces: &[&[u8]], closed: bool) -> (Vec<Answer>, Result<(), ()>) {
        let mut parser = Parser::default();
        let mut answers = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                match parser.feed(rest) {
                    Ok(Fed::More) => break,
                    Ok(Fed::Done { answer, used }) => {
                        answers.push(answer);
                        rest = &rest[used..];
                    }
                    Err(_) => return (answers, Err(())),
                }
            }
        }
        if closed {
            answers.extend(parser.end());
        }
        (answers, Ok(()))
    }

    fn one(text: &str) -> Option<Answer> {
        let (answers, end) = read(&[text.as_bytes()], true);
        end.ok().and_then(|()| answers.first().copied())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands beside None in the tables")]
    fn answer(status: u16, keep_alive: bool) -> Option<Answer> {
        Some(Answer { status, keep_alive, cache: None })
    }

    #[test]
    fn ends_are_found() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", None),
            ("HTTP/1.1 410 Gone\r\ncontent-length:0\r\nConnection: Close\r\n\r\n", answer(410, false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", answer(200, false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 204 No Content\r\n\r\n", answer(204, true)),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", answer(200, false)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", answer(201, true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                answer(200, true),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", None),
            // Legal and rare.
            ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 1\r\n\r\nx", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\nabc", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n  chunked\r\n\r\n0\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nConnection: x,\r\n\tclose\r\nContent-Length: 0\r\n\r\n", answer(200, false)),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 404 없음\r\nX-Note: 찾을 수 없음\r\nContent-Length: 0\r\n\r\n", answer(404, true)),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", answer(200, true)),
            ("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nEmpty:\r\nContent-Length: 0\r\n\r\n", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", answer(200, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil the end", answer(200, false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                answer(200, true),
            ),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n", answer(304, true)),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", answer(204, true)),
            ("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", answer(205, true)),
            ("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n", answer(204, true)),
            ("HTTP/1.1 299 Own\r\nContent-Length: 0\r\n\r\n", answer(299, true)),
            ("HTTP/1.1 999 Own\r\nContent-Length: 0\r\n\r\n", answer(999, true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0000000000000000003 ; a=\"b c\"\r\nabc\r\n00\r\n\r\n",
                answer(200, true),
            ),
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_says_whether_it_came_from_a_cache() {
        use CacheAnswer::{Hit, Miss};
        for (fields, said) in [
            ("", None),
            ("X-Cache: HIT\r\n", Some(Hit)),
            ("x-cache:   Miss from cloudfront\r\n", Some(Miss)),
            ("X-Cache: MISS\r\nX-Cache: HIT\r\n", Some(Hit)),
            ("X-Cache: HIT\r\nX-Cache: MISS\r\n", Some(Hit)),
            ("Cache-Status: Edge; fwd=miss\r\nX-Cache: odd\r\n", Some(Miss)),
            ("X-Cache: MISS\r\nCache-Status: Edge; hit\r\n", Some(Hit)),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            assert_eq!(one(&text), Some(Answer { status: 200, keep_alive: true, cache: said }), "{fields}");
        }
        let interim = "HTTP/1.1 103 Early\r\nX-Cache: HIT\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(one(interim), answer(200, true), "a head before the answer's own does not speak for it");
        let two = "HTTP/1.1 200 OK\r\nX-Cache: HIT\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
        let said: Vec<_> = read(&[two.as_bytes()], true).0.iter().map(|answer| answer.cache).collect();
        assert_eq!(said, [Some(Hit), None], "nothing is left over from the answer before");
    }

    /// Only their bytes limit the fields of a head, however it is cut into pieces.
    #[test]
    fn many_fields_are_read_up_to_a_limit_in_bytes() {
        let with = |fields: usize| {
            let lines: String = (0..fields).fold(String::new(), |text, n| format!("{text}X-{n}: v\r\n"));
            format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok")
        };
        for fields in [99, 100, 101, 500, 5_000] {
            let text = with(fields);
            assert_eq!(one(&text), answer(200, true), "{fields} fields");
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(1_460).collect();
            assert_eq!(read(&pieces, true).0, [answer(200, true).unwrap()], "{fields} fields in pieces");
        }
        let long = with(20_000);
        assert!(long.len() > MAX_HEAD && read(&[long.as_bytes()], false).1.is_err());
    }

    #[test]
    fn garbage_is_an_error() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD + 1));
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1111111111111111\r\nabc",
            &endless,
        ] {
            assert_eq!(read(&[text.as_bytes()], false).1, Err(()), "{}", &text[..40.min(text.len())]);
        }
    }

    #[test]
    fn what_was_stored_is_given_back() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(Fed::More));
        assert_eq!(parser.feed(b"ngth: 100000\r\n\r\nabc"), Ok(Fed::More));
        assert_eq!(parser.head.capacity(), 0);
    }

    fn any_answer() -> impl Strategy<Value = Vec<u8>> {
        let body = prop::collection::vec(any::<u8>(), 0..60);
        let status = prop::sample::select(vec![200_u16, 204, 304, 404, 409, 410, 503]);
        let cache =
            prop::sample::select(vec!["", "X-Cache: HIT\r\n", "x-cache: b, MISS\r\n", "Cache-Status: a;hit\r\n"]);
        let parts = prop::collection::vec(body, 0..4);
        (status, parts, 0..3_u8, any::<bool>(), cache).prop_map(|(status, parts, kind, close, cache)| {
            // Some of them fold a field, or have more fields than usual.
            let rare = match parts.len() {
                1 => "X-Folded: a\r\n b\r\n".to_owned(),
                2 => (0..120).fold(String::new(), |text, n| format!("{text}X-{n}: v\r\n")),
                _ => String::new(),
            };
            let mut bytes = format!("HTTP/1.1 {status} Text\r\nServer: test\r\n{rare}{cache}").into_bytes();
            if close {
                bytes.extend(b"Connection: close\r\n");
            }
            let none = status == 204 || status == 304;
            if none {
                bytes.extend(b"\r\n");
            } else if kind == 0 {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for part in parts.iter().filter(|p| !p.is_empty()) {
                    bytes.extend(format!("{:x};note\r\n", part.len()).bytes());
                    bytes.extend(part);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\nEnd: yes\r\n\r\n");
            } else {
                let body = parts.concat();
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                bytes.extend(body);
            }
            bytes
        })
    }

    fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            answers in prop::collection::vec(any_answer(), 1..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let bytes = answers.concat();
            let whole = read(&[&bytes], true);
            prop_assert_eq!(whole.0.len(), answers.len());
            prop_assert_eq!(&read(&split(&bytes, &cuts), true), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&read(&single, true), &whole);
        }

        #[test]
        fn damaged_bytes_neither_panic_nor_depend_on_pieces(
            answers in prop::collection::vec(any_answer(), 1..3),
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut bytes = answers.concat();
            for (at, value) in hits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            prop_assert_eq!(read(&split(&bytes, &cuts), true), read(&[&bytes], true));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&bytes], true);
        }
    }
}
