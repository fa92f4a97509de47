//! Many streams over one pipe, none able to block another.
//!
//! A sender may have [`WINDOW`] bytes of a stream under way; the receiver acknowledges what was taken
//! out. So the thread that reads the pipe never waits for a slow consumer, and memory stays bounded.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::frame::{self, Frame, MAX_PAYLOAD, Message, Stream};

/// Bytes of one stream that may be under way: enough that a fast producer seldom waits for the
/// acknowledgement, little enough that a hundred processes cost no memory to speak of.
pub const WINDOW: usize = 256 * 1024;

/// A channel and one of its streams.
pub type Key = (u32, Stream);

/// One end of the pipe. Whoever reads the pipe hands each frame to [`Link::deliver`].
pub struct Link {
    pipe: Mutex<Box<dyn Write + Send>>,
    streams: Mutex<Streams>,
    changed: Condvar,
}

#[derive(Default)]
struct Streams {
    closed: bool,
    incoming: HashMap<Key, Incoming>,
    credit: HashMap<Key, usize>,
}

#[derive(Default)]
struct Incoming {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Link {
    /// A link that writes its frames to `pipe`.
    pub fn new(pipe: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            pipe: Mutex::new(Box::new(pipe)),
            streams: Mutex::new(Streams::default()),
            changed: Condvar::new(),
        })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the pipe fails.
    pub fn send(&self, channel: u32, message: Message) -> io::Result<()> {
        frame::write(&mut *lock(&self.pipe), &Frame { channel, message })
    }

    /// Takes in a frame that arrived. Returns it when it does not concern a stream.
    ///
    /// # Errors
    /// When an acknowledgement cannot be sent.
    pub fn deliver(&self, frame: Frame) -> io::Result<Option<Frame>> {
        let Frame { channel, message } = frame;
        match message {
            Message::Data(stream, bytes) => self.receive((channel, stream), &bytes)?,
            Message::Eof(stream) => self.end((channel, stream)),
            Message::Ack(stream, taken) => {
                if let Some(credit) = lock(&self.streams).credit.get_mut(&(channel, stream)) {
                    *credit += taken as usize;
                }
            }
            message => return Ok(Some(Frame { channel, message })),
        }
        self.changed.notify_all();
        Ok(None)
    }

    /// Ends an incoming stream from this side: its reader sees the end after what already arrived.
    pub fn end(&self, key: Key) {
        if let Some(incoming) = lock(&self.streams).incoming.get_mut(&key) {
            incoming.ended = true;
        }
        self.changed.notify_all();
    }

    /// Bytes of an incoming stream that arrived and were not read yet.
    pub fn unread(&self, key: Key) -> usize {
        lock(&self.streams).incoming.get(&key).map_or(0, |incoming| incoming.bytes.len())
    }

    /// The pipe is gone: every reader sees the end, every writer a broken pipe.
    pub fn close(&self) {
        lock(&self.streams).closed = true;
        self.changed.notify_all();
    }

    /// The receiving end of a stream. Make it before the other side can send.
    pub fn reader(self: &Arc<Self>, channel: u32, stream: Stream) -> StreamReader {
        let key = (channel, stream);
        lock(&self.streams).incoming.insert(key, Incoming::default());
        StreamReader { link: Arc::clone(self), key }
    }

    /// The sending end of a stream; dropping it ends the stream.
    pub fn writer(self: &Arc<Self>, channel: u32, stream: Stream) -> StreamWriter {
        let key = (channel, stream);
        lock(&self.streams).credit.insert(key, WINDOW);
        StreamWriter { link: Arc::clone(self), key }
    }

    /// Bytes that nobody reads are acknowledged at once, so that their sender is not held up.
    fn receive(&self, key: Key, bytes: &[u8]) -> io::Result<()> {
        if let Some(incoming) = lock(&self.streams).incoming.get_mut(&key) {
            incoming.bytes.extend(bytes);
            return Ok(());
        }
        self.send(key.0, Message::Ack(key.1, bytes.len() as u32))
    }

    fn wait_until<'a, T>(&'a self, mut ready: impl FnMut(&mut Streams) -> Option<T>) -> T {
        let mut streams: MutexGuard<'a, Streams> = lock(&self.streams);
        loop {
            if let Some(value) = ready(&mut streams) {
                return value;
            }
            streams = self.changed.wait(streams).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads one stream of one process; ends when the stream or the machine does.
pub struct StreamReader {
    link: Arc<Link>,
    key: Key,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.link.wait_until(|streams| {
            let closed = streams.closed;
            let incoming = streams.incoming.get_mut(&self.key)?;
            if incoming.bytes.is_empty() {
                return (incoming.ended || closed).then_some(0);
            }
            // Reading from a VecDeque into a slice cannot fail.
            incoming.bytes.read(buffer).ok()
        });
        if taken > 0 {
            // A sender that is gone needs no acknowledgement; what arrived is still good.
            let _ = self.link.send(self.key.0, Message::Ack(self.key.1, taken as u32));
        }
        Ok(taken)
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let left = lock(&self.link.streams).incoming.remove(&self.key).map_or(0, |i| i.bytes.len());
        if left > 0 {
            let _ = self.link.send(self.key.0, Message::Ack(self.key.1, left as u32));
        }
    }
}

/// Writes one stream of one process, waiting when the other side does not keep up.
pub struct StreamWriter {
    link: Arc<Link>,
    key: Key,
}

impl Write for StreamWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let wanted = bytes.len().min(MAX_PAYLOAD);
        let granted = self.link.wait_until(|streams| {
            if streams.closed {
                return Some(None);
            }
            let credit = streams.credit.get_mut(&self.key)?;
            let granted = wanted.min(*credit);
            *credit -= granted;
            (granted > 0).then_some(Some(granted))
        });
        let granted = granted.ok_or(io::ErrorKind::BrokenPipe)?;
        self.link.send(self.key.0, Message::Data(self.key.1, bytes[..granted].to_vec()))?;
        Ok(granted)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        lock(&self.link.streams).credit.remove(&self.key);
        let _ = self.link.send(self.key.0, Message::Eof(self.key.1));
    }
}

/// A thread that panicked while holding a lock left whole values behind: every update is one step.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// Two links over a socket pair, each with a thread that reads its end.
    fn pair() -> (Arc<Link>, Arc<Link>) {
        let (a, b) = UnixStream::pair().unwrap();
        (end(a), end(b))
    }

    fn end(socket: UnixStream) -> Arc<Link> {
        let link = Link::new(socket.try_clone().unwrap());
        let reading = Arc::clone(&link);
        thread::spawn(move || {
            let mut socket = socket;
            while let Ok(Some(frame)) = frame::read(&mut socket) {
                reading.deliver(frame).unwrap();
            }
            reading.close();
        });
        link
    }

    #[test]
    fn a_stream_longer_than_its_window_arrives_whole() {
        let (host, guest) = pair();
        let mut reader = host.reader(1, Stream::Stdout);
        let sent: Vec<u8> = (0..5 * WINDOW).map(|i| (i % 251) as u8).collect();
        let copy = sent.clone();
        thread::spawn(move || guest.writer(1, Stream::Stdout).write_all(&copy).unwrap());
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert!(received == sent);
    }

    #[test]
    fn a_stream_that_nobody_takes_holds_up_no_other() {
        let (host, guest) = pair();
        let _slow = host.reader(1, Stream::Stdout);
        let mut quick = host.reader(2, Stream::Stdout);
        let stuck = Arc::clone(&guest);
        thread::spawn(move || stuck.writer(1, Stream::Stdout).write_all(&vec![0; 4 * WINDOW]));
        guest.writer(2, Stream::Stdout).write_all(b"through").unwrap();
        let mut received = String::new();
        quick.read_to_string(&mut received).unwrap();
        assert_eq!(received, "through");
    }

    #[test]
    fn a_sender_goes_on_when_its_reader_is_dropped_or_never_was() {
        let (host, guest) = pair();
        drop(host.reader(1, Stream::Stdout));
        guest.writer(1, Stream::Stdout).write_all(&vec![0; 4 * WINDOW]).unwrap();
        guest.writer(9, Stream::Stderr).write_all(&vec![0; 4 * WINDOW]).unwrap();
    }

    #[test]
    fn when_the_pipe_closes_readers_see_the_end_and_writers_an_error() {
        let (host, guest) = pair();
        let mut reader = host.reader(1, Stream::Stdout);
        let mut writer = host.writer(1, Stream::Stdin);
        guest.close();
        host.close();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
