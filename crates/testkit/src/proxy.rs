//! A TCP proxy on loopback that breaks what goes through it: the network between a node and its database.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// What is on its way between the two ends of one connection, each way: 64 chunks of 16 KiB are 1 MiB. More waits with its
/// sender.
const CHUNK_BYTES_MAX: usize = 16 * 1024;
const CHUNKS_MAX: usize = 64;

/// How long a test waits for connections that never come or go. Not a pause: what comes is seen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// All that were accepted until now, those that were reset at once too.
    pub accepted: usize,
    /// Those of them that are not over.
    pub open: usize,
}

/// The proxy. It passes everything on until it is told otherwise, and ends with its connections when it is
/// dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    network: watch::Sender<Network>,
    connections: watch::Sender<Connections>,
    snare: Mutex<Option<Snare>>,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    target: SocketAddr,
    passage: Passage,
    delay: Duration,
    /// Counts the cuts. A connection ends when this is not what it was when it began.
    cuts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    Open,
    Stalled,
    Cut,
}

/// The next request with these bytes is its connection's last.
struct Snare {
    needle: Vec<u8>,
    sprung: oneshot::Sender<()>,
}

/// Why a connection ended before both sides had said all they had to.
enum Stop {
    /// One side failed.
    Failed,
    /// After the request that the snare was for.
    Snared(oneshot::Sender<()>),
}

impl From<Error> for Stop {
    fn from(_: Error) -> Self {
        Self::Failed
    }
}

impl FaultProxy {
    /// A proxy that passes everything on.
    pub async fn start(target: SocketAddr) -> Self {
        Self::listen(target).await.expect("because loopback has a free port")
    }

    async fn listen(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let network = Network { target, passage: Passage::Open, delay: Duration::ZERO, cuts: 0 };
        let shared = Arc::new(Shared {
            network: watch::Sender::new(network),
            connections: watch::Sender::new(Connections::default()),
            snare: Mutex::new(None),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// Where clients are to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL with this address in place of the server's.
    pub fn url(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        format!("{scheme}://{user}{}/{path}", self.address)
    }

    /// New connections go there from now on. Those that are open stay where they are; [`FaultProxy::cut`] ends them.
    pub fn retarget(&self, target: SocketAddr) {
        self.shared.network.send_modify(|network| network.target = target);
    }

    /// Resets all connections, on both sides, and from now on each new one as soon as it was accepted.
    pub fn cut(&self) {
        self.shared.network.send_modify(|network| {
            network.passage = Passage::Cut;
            network.cuts += 1;
        });
    }

    /// Nothing passes any more, neither bytes nor ends, and nobody is told: a partition in which packets vanish. New
    /// connections are accepted, as by a kernel, and reach nobody. What was sent arrives after [`FaultProxy::mend`].
    pub fn stall(&self) {
        self.shared.network.send_modify(|network| network.passage = Passage::Stalled);
    }

    /// Ends [`FaultProxy::cut`] and [`FaultProxy::stall`].
    pub fn mend(&self) {
        self.shared.network.send_modify(|network| network.passage = Passage::Open);
    }

    /// What is read from now on is passed on so much later, each way: a round trip takes twice as long more. It makes a
    /// way longer and not narrower, until a MiB is on it.
    pub fn delay(&self, delay: Duration) {
        self.shared.network.send_modify(|network| network.delay = delay);
    }

    /// The next request with these bytes (`b"COMMIT"`), on whatever connection, still reaches the server, but no answer
    /// to it the client, whose connection is reset as soon as the request was passed on. Once.
    ///
    /// What this gives is ready when the server has ended the connection too: until then it may be at the request.
    pub fn cut_after_request(&self, needle: &[u8]) -> oneshot::Receiver<()> {
        assert!(!needle.is_empty(), "no bytes are in every request");
        let (sprung, ready) = oneshot::channel();
        *self.shared.snare() = Some(Snare { needle: needle.to_vec(), sprung });
        ready
    }

    pub fn connections(&self) -> Connections {
        *self.shared.connections.borrow()
    }

    /// Waits until something holds for the connections, and gives them as they were then. Panics when it never does.
    pub async fn wait_for(&self, holds: impl FnMut(&Connections) -> bool) -> Connections {
        let mut connections = self.shared.connections.subscribe();
        match tokio::time::timeout(PATIENCE, connections.wait_for(holds)).await {
            Ok(found) => *found.expect("because the proxy owns the sender"),
            Err(_) => panic!("this was waited for in vain for {PATIENCE:?}: {:?}", self.connections()),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn snare(&self) -> MutexGuard<'_, Option<Snare>> {
        self.snare.lock().expect("because nothing panics while it holds the lock")
    }

    /// Takes the snare if its bytes are in what a client says. They may begin in a chunk before, of which `unfinished`
    /// keeps what may be their beginning.
    fn snare_for(&self, unfinished: &mut Vec<u8>, chunk: &[u8]) -> Option<Snare> {
        let mut snare = self.snare();
        let Some(Snare { needle, .. }) = &*snare else {
            unfinished.clear();
            return None;
        };
        unfinished.extend_from_slice(chunk);
        if unfinished.windows(needle.len()).any(|bytes| bytes == needle) {
            return snare.take();
        }
        let kept = unfinished.len().min(needle.len() - 1);
        unfinished.drain(..unfinished.len() - kept);
        None
    }

    fn network(&self) -> Network {
        *self.network.borrow()
    }

    async fn until(&self, holds: impl Fn(&Network) -> bool) {
        let mut network = self.network.subscribe();
        network.wait_for(|network| holds(network)).await.expect("because the sender is beside this");
    }

    /// Waits while nothing passes.
    async fn passable(&self) {
        self.until(|network| network.passage == Passage::Open).await;
    }

    fn count(&self, change: impl FnOnce(&mut Connections)) {
        self.connections.send_modify(change);
    }
}

/// Counts a connection as open until it is dropped.
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.count(|connections| {
            connections.accepted += 1;
            connections.open += 1;
        });
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.count(|connections| connections.open -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        // As it was now: a cut that comes before the task runs is meant for this one too.
        let network = shared.network();
        let shared = Arc::clone(&shared);
        connections.spawn(async move { serve(client, network, &shared).await });
    }
}

async fn serve(mut client: TcpStream, begun: Network, shared: &Shared) {
    let counted = Counted::new(shared);
    if begun.passage == Passage::Cut {
        return reset(client);
    }
    let mut cut = pin!(shared.until(|network| network.cuts != begun.cuts));
    let server = tokio::select! {
        biased;
        () = &mut cut => None,
        server = dial(shared) => server.ok(),
    };
    let Some(mut server) = server else { return reset(client) };
    let ended = tokio::select! {
        biased;
        () = &mut cut => Err(Stop::Failed),
        ended = converse(&mut client, &mut server, shared) => ended,
    };
    match ended {
        Ok(()) => {}
        Err(Stop::Failed) => {
            reset(client);
            reset(server);
        }
        Err(Stop::Snared(sprung)) => {
            reset(client);
            drop(counted);
            tokio::select! {
                () = &mut cut => reset(server),
                () = hear_out(&mut server) => {
                    // Nobody has to wait for it.
                    let _ = sprung.send(());
                }
            }
        }
    }
}

/// Closes a connection with RST: the other side fails, whatever it was at.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

#[expect(deprecated, reason = "it is deprecated because a time blocks; none does not")]
async fn dial(shared: &Shared) -> Result<TcpStream> {
    shared.passable().await;
    let target = shared.network().target;
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A cut may come when the server has the connection and this has not heard of it.
    socket.set_zero_linger()?;
    let server = socket.connect(target).await?;
    server.set_linger(None)?;
    Ok(server)
}

/// Passes on what both sides say until both have ended.
async fn converse(
    client: &mut TcpStream,
    server: &mut TcpStream,
    shared: &Shared,
) -> std::result::Result<(), Stop> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (requests_in, mut requests) = mpsc::channel(CHUNKS_MAX);
    let (answers_in, mut answers) = mpsc::channel(CHUNKS_MAX);
    let snared = AtomicBool::new(false);
    tokio::try_join!(
        read(&mut from_client, requests_in, shared),
        write_requests(&mut requests, &mut to_server, shared, &snared),
        read(&mut from_server, answers_in, shared),
        write_answers(&mut answers, &mut to_client, shared, &snared),
    )?;
    Ok(())
}

/// Bytes, and when they may go on.
type Chunk = (Instant, Bytes);

async fn read(
    from: &mut (impl AsyncRead + Unpin),
    to: mpsc::Sender<Chunk>,
    shared: &Shared,
) -> std::result::Result<(), Stop> {
    let mut buffer = BytesMut::new();
    loop {
        shared.passable().await;
        buffer.reserve(CHUNK_BYTES_MAX);
        let mut limited = (&mut buffer).limit(CHUNK_BYTES_MAX);
        let read = from.read_buf(&mut limited).await;
        let chunk = (Instant::now() + shared.network().delay, buffer.split().freeze());
        match read {
            // The one that writes waits for nothing else; it leaves only when this connection ends.
            Ok(1..) => to.send(chunk).await.map_err(|_| Stop::Failed)?,
            Ok(0) => return Ok(()),
            // A stall may have begun, and this is news that does not pass either.
            Err(_) => {
                shared.passable().await;
                return Err(Stop::Failed);
            }
        }
    }
}

async fn write_requests(
    requests: &mut mpsc::Receiver<Chunk>,
    server: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    snared: &AtomicBool,
) -> std::result::Result<(), Stop> {
    let mut unfinished = Vec::new();
    while let Some((due, chunk)) = requests.recv().await {
        tokio::time::sleep_until(due).await;
        shared.passable().await;
        let snare = shared.snare_for(&mut unfinished, &chunk);
        // Before the server sees the request: its answer may be there before this goes on.
        snared.store(snare.is_some(), Ordering::Relaxed);
        server.write_all(&chunk).await?;
        if let Some(Snare { sprung, .. }) = snare {
            return Err(Stop::Snared(sprung));
        }
    }
    shared.passable().await;
    Ok(server.shutdown().await?)
}

async fn write_answers(
    answers: &mut mpsc::Receiver<Chunk>,
    client: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    snared: &AtomicBool,
) -> std::result::Result<(), Stop> {
    while let Some((due, chunk)) = answers.recv().await {
        tokio::time::sleep_until(due).await;
        shared.passable().await;
        if !snared.load(Ordering::Relaxed) {
            client.write_all(&chunk).await?;
        }
    }
    shared.passable().await;
    Ok(client.shutdown().await?)
}

/// Waits until the server has ended the connection. It is told that no more comes, and not by a reset: it is to do what
/// it was asked.
async fn hear_out(server: &mut TcpStream) {
    let mut unheard = vec![0; CHUNK_BYTES_MAX];
    if server.shutdown().await.is_ok() {
        while let Ok(1..) = server.read(&mut unheard).await {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::clock::turn;

    /// A server whose part the test plays.
    async fn server() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    async fn connect(proxy: &FaultProxy) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.connect(proxy.address()).await.expect("the proxy listens")
    }

    /// Both ends of a connection that goes through.
    async fn pair(proxy: &FaultProxy, server: &TcpListener) -> (TcpStream, TcpStream) {
        let client = connect(proxy).await;
        let (served, _) = server.accept().await.expect("the proxy connects");
        (client, served)
    }

    async fn say(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.expect("the other side listens");
    }

    async fn hear(stream: &mut TcpStream, text: &str) {
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await.expect("the other side speaks");
        assert_eq!(String::from_utf8_lossy(&heard), text);
    }

    async fn hear_reset(stream: &mut TcpStream) {
        let end = stream.read(&mut [0]).await.expect_err("a reset");
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    }

    /// Everybody has turns enough to say what is to be said.
    async fn hear_nothing(stream: &mut TcpStream) {
        for _ in 0..100 {
            turn().await;
            let nothing = stream.try_read(&mut [0]).expect_err("nothing passes");
            assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        }
    }

    #[tokio::test]
    async fn what_one_side_says_the_other_hears_and_each_ends_by_itself() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        let much: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
        let echo = tokio::spawn(async move {
            let mut all = Vec::new();
            served.read_to_end(&mut all).await.expect("the end of what the client says");
            served.write_all(&all).await.expect("the client still listens");
        });
        client.write_all(&much).await.expect("the server listens");
        client.shutdown().await.expect("the client ends");
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.expect("the end of what the server says");
        echo.await.expect("the server ends");
        assert!(back == much);
        let over = proxy.wait_for(|connections| connections.open == 0).await;
        assert_eq!(over, Connections { accepted: 1, open: 0 });
    }

    #[tokio::test]
    async fn a_cut_resets_what_is_open_and_what_comes_until_it_is_mended() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        assert_eq!(proxy.connections(), Connections { accepted: 1, open: 1 });
        proxy.cut();
        hear_reset(&mut client).await;
        hear_reset(&mut served).await;
        // The reset may be there before `connect` has returned.
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Ok(mut late) = socket.connect(proxy.address()).await {
            hear_reset(&mut late).await;
        }
        proxy.wait_for(|connections| *connections == Connections { accepted: 2, open: 0 }).await;

        proxy.mend();
        let (mut client, mut served) = pair(&proxy, &server).await;
        say(&mut client, "again").await;
        hear(&mut served, "again").await;
    }

    #[tokio::test]
    async fn a_cut_that_is_mended_at_once_has_still_cut() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        proxy.cut();
        proxy.mend();
        hear_reset(&mut client).await;
        hear_reset(&mut served).await;
        pair(&proxy, &server).await;
    }

    #[tokio::test]
    async fn what_is_said_during_a_stall_is_heard_when_it_is_mended() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        say(&mut client, "before").await;
        hear(&mut served, "before").await;

        proxy.stall();
        say(&mut client, "question").await;
        say(&mut served, "answer").await;
        let mut late = connect(&proxy).await;
        say(&mut late, "late").await;
        proxy.wait_for(|connections| connections.accepted == 2).await;
        hear_nothing(&mut client).await;
        hear_nothing(&mut served).await;

        proxy.mend();
        hear(&mut client, "answer").await;
        hear(&mut served, "question").await;
        let (mut served, _) = server.accept().await.expect("the late one comes through");
        hear(&mut served, "late").await;
    }

    #[tokio::test]
    async fn nobody_hears_during_a_stall_that_the_other_side_has_gone() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut ended, served_ended) = pair(&proxy, &server).await;
        let (gone, mut served_gone) = pair(&proxy, &server).await;
        proxy.stall();
        drop(served_ended);
        reset(gone);
        hear_nothing(&mut ended).await;
        hear_nothing(&mut served_gone).await;
        proxy.mend();
        assert_eq!(ended.read(&mut [0]).await.expect("an end in order"), 0);
        hear_reset(&mut served_gone).await;
    }

    #[tokio::test]
    async fn a_stall_takes_no_more_than_its_bound() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (client, served) = pair(&proxy, &server).await;
        proxy.stall();
        let chunk = vec![0; CHUNK_BYTES_MAX];
        let (mut taken, mut refused) = (0, 0);
        while refused < 100 {
            match client.try_write(&chunk) {
                Ok(written) => (taken, refused) = (taken + written, 0),
                Err(full) => {
                    assert_eq!(full.kind(), ErrorKind::WouldBlock);
                    refused += 1;
                    turn().await;
                }
            }
            // The rest of it are the kernel's two buffers.
            assert!(taken < 32 << 20, "{taken}");
        }
        proxy.cut();
        drop(served);
    }

    #[tokio::test]
    async fn a_stalled_connection_can_be_cut() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        proxy.stall();
        let mut late = connect(&proxy).await;
        proxy.wait_for(|connections| connections.accepted == 2).await;
        proxy.cut();
        for stream in [&mut client, &mut served, &mut late] {
            hear_reset(stream).await;
        }
    }

    #[tokio::test]
    async fn a_request_in_the_snare_reaches_the_server_and_its_answer_nobody() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        let mut cut = proxy.cut_after_request(b"COMMIT");
        say(&mut client, "INSERT").await;
        hear(&mut served, "INSERT").await;
        say(&mut served, "inserted").await;
        hear(&mut client, "inserted").await;

        say(&mut client, "…COMMIT;").await;
        hear(&mut served, "…COMMIT;").await;
        hear_reset(&mut client).await;
        proxy.wait_for(|connections| connections.open == 0).await;
        assert!(cut.try_recv().is_err(), "the server is still at it");
        say(&mut served, "committed").await;
        assert_eq!(served.read(&mut [0]).await.expect("an end in order, not a reset"), 0);
        drop(served);
        cut.await.expect("the server has ended the connection");

        let (mut client, mut served) = pair(&proxy, &server).await;
        say(&mut client, "COMMIT").await;
        hear(&mut served, "COMMIT").await;
        say(&mut served, "committed").await;
        hear(&mut client, "committed").await;
    }

    #[tokio::test]
    async fn a_request_that_comes_in_pieces_is_in_the_snare_too() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let _cut = proxy.cut_after_request(b"COMMIT");
        let (mut client, mut served) = pair(&proxy, &server).await;
        for piece in ["COM", "COMM", "I"] {
            say(&mut client, piece).await;
            hear(&mut served, piece).await;
        }
        say(&mut client, "T").await;
        hear(&mut served, "T").await;
        hear_reset(&mut client).await;
    }

    /// The runtime's clock moves on by itself when nobody has anything else to do.
    #[tokio::test(start_paused = true)]
    async fn a_delay_makes_each_way_longer_and_not_narrower() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        let delay = Duration::from_secs(10);
        proxy.delay(delay);
        let begun = Instant::now();
        for _ in 0..5 {
            say(&mut client, "question").await;
            turn().await;
        }
        for _ in 0..5 {
            hear(&mut served, "question").await;
        }
        assert!(begun.elapsed() >= delay);
        say(&mut served, "answer").await;
        hear(&mut client, "answer").await;
        assert!(begun.elapsed() >= delay * 2 && begun.elapsed() < delay * 3, "{:?}", begun.elapsed());

        proxy.delay(Duration::ZERO);
        let begun = Instant::now();
        say(&mut client, "question").await;
        hear(&mut served, "question").await;
        assert!(begun.elapsed() < delay);
    }

    #[tokio::test]
    async fn a_new_target_is_for_new_connections() {
        let (old, old_address) = server().await;
        let (new, new_address) = server().await;
        let proxy = FaultProxy::start(old_address).await;
        let (mut client, mut served) = pair(&proxy, &old).await;
        proxy.retarget(new_address);
        let (mut late, mut late_served) = pair(&proxy, &new).await;
        say(&mut client, "old").await;
        say(&mut late, "new").await;
        hear(&mut served, "old").await;
        hear(&mut late_served, "new").await;
    }

    #[tokio::test]
    async fn a_url_is_led_through_it() {
        let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], 1))).await;
        let address = proxy.address();
        for (url, through) in [
            ("postgres://u:p@127.0.0.1:5432/d?a=b@c/d", format!("postgres://u:p@{address}/d?a=b@c/d")),
            ("http://localhost", format!("http://{address}/")),
        ] {
            assert_eq!(proxy.url(url), through);
        }
    }

    #[tokio::test]
    async fn a_client_of_a_server_that_is_away_is_reset() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        drop(server);
        hear_reset(&mut connect(&proxy).await).await;
    }

    #[tokio::test]
    async fn a_server_that_dies_resets_its_clients() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, served) = pair(&proxy, &server).await;
        reset(served);
        hear_reset(&mut client).await;
    }

    #[tokio::test]
    async fn its_connections_end_when_it_is_dropped() {
        let (server, address) = server().await;
        let proxy = FaultProxy::start(address).await;
        let (mut client, mut served) = pair(&proxy, &server).await;
        drop(proxy);
        for stream in [&mut client, &mut served] {
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        }
    }
}
