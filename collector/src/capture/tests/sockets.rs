//! Owners, states and payload of real sockets, and processes.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use ebpf_abi::{
    DataHead, ProcRecord, Record, SockRecord, data_direction, direction, process_event, protocol, role, tcp_state,
};

use super::super::Kernel;
use super::helper::{ANSWER_BODY, ANSWER_HEAD, BODY_BYTES, Child, request, upload_head};
use super::lab::{Lab, Pod};
use super::{drain, flows, load, parsed, require_ebpf, wait_for};

const CLIENT: Pod = Pod(1);
const SERVER: Pod = Pod(2);

/// What the rings said of sockets, payload and processes.
#[derive(Default)]
struct Heard {
    socks: Vec<SockRecord>,
    data: Vec<(DataHead, Vec<u8>)>,
    processes: Vec<ProcRecord>,
}

impl Heard {
    fn listen(&mut self, kernel: &mut Kernel) {
        for record in parsed(&drain(kernel)) {
            match record {
                Record::Sock(sock) => self.socks.push(sock),
                Record::Data(head, bytes) => self.data.push((head, bytes.to_vec())),
                Record::Proc(process) => self.processes.push(process),
                _ => {}
            }
        }
    }

    fn of(&self, cookie: u64) -> Vec<&SockRecord> {
        self.socks.iter().filter(|sock| sock.header.cookie == cookie).collect()
    }

    fn streams(&self, cookie: u64, direction: u8) -> Vec<&(DataHead, Vec<u8>)> {
        self.data.iter().filter(|(head, _)| head.header.cookie == cookie && head.direction == direction).collect()
    }

    fn closed(&self, tgid: u32) -> Option<&SockRecord> {
        self.socks.iter().find(|sock| sock.tgid == tgid && sock.new_state == tcp_state::CLOSE)
    }
}

fn comm(sock: &SockRecord) -> String {
    String::from_utf8_lossy(&sock.comm).trim_end_matches('\0').to_owned()
}

/// One request of a client process to a server process, in a lab; returns what was heard until both sockets closed.
fn exchange(kernel: &mut Kernel, lab: &Lab, server_ip: SocketAddr) -> (Heard, u32, u32, u16) {
    let mut server = Child::start(&lab.namespace(SERVER), &format!("serve {server_ip} 1"));
    let port: u16 = server.says("serving").parse().unwrap();
    let address = SocketAddr::new(server_ip.ip(), port);
    let mut client = Child::start(&lab.namespace(CLIENT), &format!("get {address} /some/path"));
    let mut heard = Heard::default();
    // The rings are the whole machine's: nothing of ours is to be lost for others.
    wait_for("the client to end", || {
        heard.listen(kernel);
        client.has_finished().then_some(())
    });
    server.says("served");
    wait_for("both ends to close", || {
        heard.listen(kernel);
        let server_done = heard
            .socks
            .iter()
            .any(|sock| sock.tgid == server.pid() && sock.new_state == tcp_state::CLOSE && sock.role == role::SERVER);
        (heard.closed(client.pid()).is_some() && server_done).then_some(())
    });
    (heard, client.pid(), server.pid(), port)
}

#[test]
fn a_request_is_seen_with_its_processes_on_both_ends() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    for server in [SocketAddr::new(SERVER.v4().into(), 0), SocketAddr::new(SERVER.v6().into(), 0)] {
        let (heard, client_pid, server_pid, port) = exchange(&mut kernel, &lab, server);
        let client = *heard.closed(client_pid).unwrap();
        let answer = [ANSWER_HEAD, ANSWER_BODY].concat();
        let question = request("/some/path");

        let path: Vec<_> = heard.of(client.header.cookie).iter().map(|sock| (sock.old_state, sock.new_state)).collect();
        assert_eq!(path[..2], [(tcp_state::CLOSE, tcp_state::SYN_SENT), (tcp_state::SYN_SENT, tcp_state::ESTABLISHED)]);
        assert_eq!((client.role, client.tuple.destination_port), (role::CLIENT, port));
        assert_eq!(client.tuple.ip_version, if server.is_ipv4() { 4 } else { 6 });
        assert_eq!((client.bytes_acked, client.bytes_received), (question.len() as u64 + 2, answer.len() as u64 + 1));
        assert!(client.tuple.source_port != 0 && client.srtt_us > 0 && client.uid == 0, "{client:?}");
        assert!(!comm(&client).is_empty() && client.cgroup != 0);

        let server_end = heard.socks.iter().find(|sock| sock.tgid == server_pid && sock.role == role::SERVER).unwrap();
        assert_eq!(server_end.tuple.source_port, port);
        assert_eq!(server_end.tuple.destination_port, client.tuple.source_port);
        assert_eq!(server_end.tuple.destination_ip, client.tuple.source_ip);
        assert_ne!(server_end.netns, client.netns);
        assert!(heard.socks.iter().any(|sock| sock.tgid == server_pid && sock.role == role::LISTENER));

        // The packets on the host's ends of the pairs carry the same cookies.
        let all = flows(&mut kernel);
        for (sock, from) in [(&client, client.tuple.source_port), (server_end, port)] {
            let flow = all.iter().find(|(key, val)| {
                key.protocol == protocol::TCP
                    && key.source_port == from
                    && key.direction == direction::IN
                    && val.cookie != 0
                    && key.source_ip == sock.tuple.source_ip
            });
            let (_, val) = flow.unwrap();
            assert_eq!((val.cookie, val.netns), (sock.header.cookie, sock.netns));
        }

        for (cookie, sent, received) in
            [(client.header.cookie, &question, &answer), (server_end.header.cookie, &answer, &question)]
        {
            for (direction, expected) in [(data_direction::SENT, sent), (data_direction::RECEIVED, received)] {
                let mut stream = Vec::new();
                for (head, bytes) in heard.streams(cookie, direction) {
                    assert_eq!((head.offset, head.len), (stream.len() as u64, bytes.len() as u32), "nothing is cut");
                    stream.extend_from_slice(bytes);
                }
                assert_eq!(stream, *expected, "{cookie} {direction}");
            }
        }
    }
    assert_eq!(kernel.stats().unwrap().total().lost, 0);
}

#[test]
fn what_is_not_http_and_what_is_muted_is_not_captured() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let address = listener.local_addr().unwrap();
    let spoken = |kernel: &mut Kernel, text: &str| {
        let mut child = Child::start(&lab.namespace(CLIENT), &format!("speak {address} {text}"));
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        child.finish();
        let mut heard = Heard::default();
        wait_for("the end of the client", || {
            heard.listen(kernel);
            heard.closed(child.pid()).copied()
        });
        heard.data.retain(|(head, _)| head.tgid == child.pid());
        heard
    };
    assert_eq!(spoken(&mut kernel, "REDIS").data.len(), 0);
    assert_eq!(spoken(&mut kernel, "POST").data.len(), 20);
    kernel.set_payload_bytes(0).unwrap();
    assert_eq!(spoken(&mut kernel, "POST").data.len(), 0);
    kernel.set_payload_bytes(4096).unwrap();

    // Our own process's end of such a connection never shows.
    let heard = spoken(&mut kernel, "POST");
    assert_eq!(heard.data.len(), 20);
    assert!(heard.socks.iter().any(|sock| sock.tgid == kernel.own_tgid && sock.tuple.source_port == port));

    // A muted socket falls silent in the middle.
    let mut child = Child::start(&lab.namespace(SERVER), &format!("serve {}:0 1", SERVER.v4()));
    let port: u16 = child.says("serving").parse().unwrap();
    lab.within(CLIENT, || {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect((SERVER.v4(), port)).unwrap();
        let mut heard = Heard::default();
        let mut ask = |kernel: &mut Kernel, heard: &mut Heard| {
            stream.write_all(&request("/")).unwrap();
            stream.read_exact(&mut vec![0; ANSWER_HEAD.len() + ANSWER_BODY.len()]).unwrap();
            heard.listen(kernel);
        };
        ask(&mut kernel, &mut heard);
        let cookie = wait_for("payload of the server", || {
            heard.listen(&mut kernel);
            heard.data.iter().map(|(head, _)| head).find(|head| head.tgid == child.pid()).map(|head| head.header.cookie)
        });
        kernel.mute_payload(cookie).unwrap();
        ask(&mut kernel, &mut heard);
        let of_child = |heard: &Heard| heard.data.iter().filter(|(head, _)| head.tgid == child.pid()).count();
        let before = of_child(&heard);
        ask(&mut kernel, &mut heard);
        ask(&mut kernel, &mut heard);
        assert_eq!(of_child(&heard), before);
    });
}

#[test]
fn of_a_long_body_only_the_start_of_each_write_is_taken() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let mut child = Child::start(&lab.namespace(CLIENT), &format!("upload {}", listener.local_addr().unwrap()));
    let (mut stream, _) = listener.accept().unwrap();
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    child.finish();
    let mut heard = Heard::default();
    let closed = wait_for("the end of the client", || {
        heard.listen(&mut kernel);
        heard.closed(child.pid()).copied()
    });
    let chunks = heard.streams(closed.header.cookie, data_direction::SENT);
    let (first, last) = (chunks[0], chunks[chunks.len() - 1]);
    assert_eq!((&first.1, &last.1), (&upload_head(), &request("/after")), "heads are whole");
    // No byte is missing from the account, and few of the body were taken.
    let lengths: u64 = chunks.iter().map(|(head, _)| u64::from(head.len)).sum();
    assert_eq!(lengths as usize, upload_head().len() + BODY_BYTES + request("/after").len());
    let taken: usize = chunks.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(taken < 40_000, "{taken} bytes taken in {} chunks", chunks.len());
    let body = &chunks[1..chunks.len() - 1];
    assert!(body.len() > 10 && body.iter().rev().take(10).all(|(head, bytes)| head.len > 4_096 && bytes.len() == 256));
}

#[test]
fn sockets_there_were_before_get_their_owners() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let client = lab.within(CLIENT, || TcpStream::connect((SERVER.v4(), port)).unwrap());
    let udp = lab.within(CLIENT, || UdpSocket::bind((CLIENT.v6(), 0)).unwrap());
    let client_port = client.local_addr().unwrap().port();

    let mut kernel = load(|_| {});
    let mut heard = Heard::default();
    let mut records = Vec::new();
    let found = kernel.walk_sockets(&mut |record| records.push(record.to_vec()));
    for record in parsed(&records) {
        if let Record::Sock(sock) = record {
            heard.socks.push(sock);
        }
    }
    assert!(found >= 3 && heard.socks.len() >= found, "{found} sockets, {} records", heard.socks.len());
    let by_port = |port: u16, role: u8| {
        let mut own = heard.socks.iter().filter(|sock| sock.tgid == kernel.own_tgid);
        own.find(|sock| sock.tuple.source_port == port && sock.role == role).copied()
    };
    let listening = by_port(port, role::LISTENER).unwrap();
    assert_eq!((listening.old_state, listening.new_state), (tcp_state::LISTEN, tcp_state::LISTEN));
    let connected = by_port(client_port, role::UNKNOWN).unwrap();
    assert_eq!(connected.new_state, tcp_state::ESTABLISHED);
    assert_eq!((connected.tuple.destination_port, connected.uid), (port, 0));
    assert!(connected.cgroup != 0 && !comm(&connected).is_empty() && connected.netns != listening.netns);
    let datagrams = by_port(udp.local_addr().unwrap().port(), role::UNKNOWN).unwrap();
    assert_eq!((datagrams.tuple.protocol, datagrams.family), (protocol::UDP, 10));

    let mut again = 0;
    let found = kernel.walk_sockets(&mut |record| {
        again += usize::from(matches!(Record::parse(record), Ok(Record::Sock(sock)) if sock.tgid == kernel_tgid()));
    });
    assert!(found < 3 || again == 0, "a second walk has nothing new of ours: {found} {again}");
}

/// Our own process id, which in these tests is the host's.
fn kernel_tgid() -> u32 {
    std::process::id()
}

#[test]
fn processes_begin_and_end() {
    let Some(_turn) = require_ebpf() else { return };
    let mut kernel = load(|config| config.exclude_links = vec!["*".to_owned()]);
    let child = Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
    let pid = child.id();
    assert_eq!({ child }.wait().unwrap().code(), Some(3));
    let mut heard = Heard::default();
    wait_for("the end of the process", || {
        heard.listen(&mut kernel);
        heard.processes.iter().any(|it| it.tgid == pid && it.event == process_event::EXIT).then_some(())
    });
    let of = |event| *heard.processes.iter().find(|it| it.tgid == pid && it.event == event).unwrap();
    let (begin, end) = (of(process_event::EXEC), of(process_event::EXIT));
    assert!(begin.path.starts_with(b"/bin/sh\0"), "{begin:?}");
    assert_eq!((begin.parent_tgid, begin.uid), (kernel.own_tgid, 0));
    assert!(begin.comm.starts_with(b"sh\0") && begin.cgroup != 0 && begin.netns != 0);
    assert_eq!((end.exit, end.path[0]), (3 << 8, 0));
}
