//! One message between host and guest: a kind, a channel, a payload. A channel is one process.

use std::io::{self, Read, Write};

/// Largest payload of one frame in bytes: eight pages, what the virtio port moves in one request.
pub const MAX_PAYLOAD: usize = 32 * 1024;
/// Kind (1 byte), channel and payload length (4 bytes each, little endian).
const HEADER: usize = 9;

/// One of a process's three streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Host to guest.
    Stdin,
    /// Guest to host.
    Stdout,
    /// Guest to host.
    Stderr,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Program and arguments; a name without a slash is looked up in init's PATH.
    pub argv: Vec<String>,
    /// Additions to init's environment.
    pub env: Vec<(String, String)>,
    /// Folder to start in; empty means `/`.
    pub cwd: String,
    /// With a size the process gets a terminal of its own: all output arrives as stdout.
    pub terminal: Option<WindowSize>,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Init is ready; carries the kernel's release.
    Hello(String),
    /// Start a process on this channel.
    Exec(Command),
    /// The process could not be started, with the reason.
    Failed(String),
    /// Bytes of a stream.
    Data(Stream, Vec<u8>),
    /// The stream ends.
    Eof(Stream),
    /// The receiver took this many bytes of the stream: the sender may send as many more.
    Ack(Stream, u32),
    /// Send this signal to the process group.
    Signal(i32),
    /// The terminal has another size.
    Resize(WindowSize),
    /// The process ended.
    Exit(Exit),
    /// Flush disks and end the machine.
    Shutdown,
}

/// A message and the channel it belongs to (0 for the machine itself).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which process.
    pub channel: u32,
    /// What about it.
    pub message: Message,
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe failed.
    #[error("the control port failed")]
    Io(#[from] io::Error),
    /// No such kind of frame.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// The payload is longer than either side sends.
    #[error("a frame of {0} bytes, where {MAX_PAYLOAD} is the limit")]
    TooLong(usize),
    /// The payload is not what its kind calls for.
    #[error("the payload of a frame of kind {0} is malformed")]
    Payload(u8),
}

/// Writes one frame.
///
/// # Errors
/// When the pipe fails, or the payload is longer than [`MAX_PAYLOAD`].
pub fn write(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    let (kind, payload) = encode(&frame.message);
    if payload.len() > MAX_PAYLOAD {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, FrameError::TooLong(payload.len())));
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(kind);
    bytes.extend(frame.channel.to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(payload);
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one frame; `None` when the pipe ends between frames.
///
/// # Errors
/// When the pipe fails, ends inside a frame, or carries something that is not a frame.
pub fn read(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut header = [0; HEADER];
    if from.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut header[1..])?;
    let [kind, c0, c1, c2, c3, l0, l1, l2, l3] = header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_PAYLOAD {
        return Err(FrameError::TooLong(length));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    let message = decode(kind, payload)?;
    Ok(Some(Frame { channel: u32::from_le_bytes([c0, c1, c2, c3]), message }))
}

fn encode(message: &Message) -> (u8, Vec<u8>) {
    match message {
        Message::Hello(release) => (1, release.clone().into_bytes()),
        Message::Exec(command) => (2, encode_command(command)),
        Message::Failed(reason) => (3, reason.clone().into_bytes()),
        Message::Data(stream, bytes) => (10 + *stream as u8, bytes.clone()),
        Message::Eof(stream) => (20 + *stream as u8, Vec::new()),
        Message::Ack(stream, bytes) => (30 + *stream as u8, bytes.to_le_bytes().to_vec()),
        Message::Signal(signal) => (40, signal.to_le_bytes().to_vec()),
        Message::Resize(size) => (41, encode_size(*size).to_vec()),
        Message::Exit(Exit::Code(code)) => (42, code.to_le_bytes().to_vec()),
        Message::Exit(Exit::Signal(signal)) => (43, signal.to_le_bytes().to_vec()),
        Message::Shutdown => (44, Vec::new()),
    }
}

fn decode(kind: u8, payload: Vec<u8>) -> Result<Message, FrameError> {
    let bad = || FrameError::Payload(kind);
    let number = |bytes: &[u8]| bytes.try_into().map(i32::from_le_bytes).map_err(|_| bad());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| bad());
    Ok(match kind {
        1 => Message::Hello(text(payload)?),
        2 => Message::Exec(decode_command(&payload).ok_or_else(bad)?),
        3 => Message::Failed(text(payload)?),
        10..=12 => Message::Data(stream(kind - 10), payload),
        20..=22 => Message::Eof(stream(kind - 20)),
        30..=32 => Message::Ack(stream(kind - 30), number(&payload)?.cast_unsigned()),
        40 => Message::Signal(number(&payload)?),
        41 => Message::Resize(decode_size(&payload).ok_or_else(bad)?),
        42 => Message::Exit(Exit::Code(number(&payload)?)),
        43 => Message::Exit(Exit::Signal(number(&payload)?)),
        44 => Message::Shutdown,
        other => return Err(FrameError::Kind(other)),
    })
}

fn stream(index: u8) -> Stream {
    match index {
        0 => Stream::Stdin,
        1 => Stream::Stdout,
        _ => Stream::Stderr,
    }
}

fn encode_size(size: WindowSize) -> [u8; 4] {
    let ([r0, r1], [c0, c1]) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
    [r0, r1, c0, c1]
}

fn decode_size(bytes: &[u8]) -> Option<WindowSize> {
    let &[r0, r1, c0, c1] = bytes else { return None };
    Some(WindowSize { rows: u16::from_le_bytes([r0, r1]), columns: u16::from_le_bytes([c0, c1]) })
}

/// Strings end in a NUL, which none of them can contain; the counts come first.
fn encode_command(command: &Command) -> Vec<u8> {
    let Command { argv, env, cwd, terminal } = command;
    let size = terminal.unwrap_or(WindowSize { rows: 0, columns: 0 });
    let mut bytes = vec![u8::from(terminal.is_some())];
    bytes.extend(encode_size(size));
    bytes.extend((argv.len() as u32).to_le_bytes());
    let pairs = env.iter().flat_map(|(name, value)| [name, value]);
    for string in std::iter::once(cwd).chain(argv).chain(pairs) {
        bytes.extend(string.bytes());
        bytes.push(0);
    }
    bytes
}

fn decode_command(bytes: &[u8]) -> Option<Command> {
    let (&[terminal, s0, s1, s2, s3, n0, n1, n2, n3], rest) = bytes.split_first_chunk::<9>()?;
    let arguments = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
    let text = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
    let mut strings = text.split('\0').map(String::from);
    let cwd = strings.next()?;
    let argv: Vec<String> = strings.by_ref().take(arguments).collect();
    let mut env = Vec::new();
    while let Some(name) = strings.next() {
        env.push((name, strings.next()?));
    }
    let terminal = (terminal == 1).then(|| decode_size(&[s0, s1, s2, s3])).flatten();
    (argv.len() == arguments).then_some(Command { argv, env, cwd, terminal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(message: Message) -> Message {
        let mut pipe = Vec::new();
        write(&mut pipe, &Frame { channel: 7, message }).unwrap();
        let frame = read(&mut pipe.as_slice()).unwrap().unwrap();
        assert_eq!(frame.channel, 7);
        frame.message
    }

    #[test]
    fn every_message_survives_the_pipe() {
        let size = WindowSize { rows: 24, columns: 300 };
        let command = Command {
            argv: vec!["sh".into(), "-c".into(), String::new(), "ü".into()],
            env: vec![("A".into(), String::new()), ("B".into(), "x=y".into())],
            cwd: "/tmp".into(),
            terminal: Some(size),
        };
        for message in [
            Message::Hello("6.1.0-lab".into()),
            Message::Exec(command),
            Message::Exec(Command { argv: vec!["true".into()], ..Command::default() }),
            Message::Failed("no such file".into()),
            Message::Data(Stream::Stdin, vec![0, 255, 1]),
            Message::Data(Stream::Stderr, vec![9; MAX_PAYLOAD]),
            Message::Eof(Stream::Stdout),
            Message::Ack(Stream::Stdout, u32::MAX),
            Message::Signal(15),
            Message::Resize(size),
            Message::Exit(Exit::Code(255)),
            Message::Exit(Exit::Signal(9)),
            Message::Shutdown,
        ] {
            assert_eq!(there_and_back(message.clone()), message);
        }
    }

    #[test]
    fn the_end_between_frames_is_no_error_and_inside_one_it_is() {
        assert!(read(&mut [].as_slice()).unwrap().is_none());
        assert!(matches!(read(&mut [44, 0, 0].as_slice()), Err(FrameError::Io(_))));
    }

    #[test]
    fn an_unknown_kind_or_an_oversized_or_malformed_payload_is_refused() {
        let frame = |kind, length: u32| {
            let mut bytes = vec![kind, 0, 0, 0, 0];
            bytes.extend(length.to_le_bytes());
            bytes.resize(bytes.len() + length as usize, 0xff);
            bytes
        };
        assert!(matches!(read(&mut frame(99, 0).as_slice()), Err(FrameError::Kind(99))));
        assert!(matches!(read(&mut frame(10, 40_000).as_slice()), Err(FrameError::TooLong(40_000))));
        assert!(matches!(read(&mut frame(42, 3).as_slice()), Err(FrameError::Payload(42))));
        assert!(matches!(read(&mut frame(1, 2).as_slice()), Err(FrameError::Payload(1))));
        assert!(matches!(read(&mut frame(2, 20).as_slice()), Err(FrameError::Payload(2))));
    }

    #[test]
    fn a_payload_over_the_limit_is_not_sent() {
        let mut pipe = Vec::new();
        let frame = Frame { channel: 1, message: Message::Data(Stream::Stdin, vec![0; MAX_PAYLOAD + 1]) };
        assert!(write(&mut pipe, &frame).is_err());
        assert!(pipe.is_empty());
    }
}
