//! A connection that can be cut after a number of bytes of the answer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much may still be written; no limit unless one was set.
#[derive(Debug, Default)]
pub(super) struct Line {
    left: Mutex<Option<u64>>,
}

impl Line {
    /// Lets that many more bytes through, then closes the connection.
    pub(super) fn cut_after(&self, bytes: u64) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

/// A socket with a line that can be cut.
pub(super) struct CutStream {
    socket: TcpStream,
    line: Arc<Line>,
}

impl CutStream {
    pub(super) fn new(socket: TcpStream, line: Arc<Line>) -> Self {
        Self { socket, line }
    }
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = Arc::clone(&self.line);
        let mut left = line.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = *left else {
            return Pin::new(&mut self.socket).poll_write(context, bytes);
        };
        let allowed = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let now = bytes.get(..allowed).unwrap_or_default();
        if now.is_empty() && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let written = Pin::new(&mut self.socket).poll_write(context, now);
        if let Poll::Ready(Ok(length)) = written {
            *left = Some(limit.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX)));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
