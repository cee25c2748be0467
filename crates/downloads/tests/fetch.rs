//! Tests of downloads from a server in this process: resume, changed files, refusals, checksums, offline use.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use downloads::{DownloadOptions, DownloadProgress, Error, Remote, fetch};
use sha2::{Digest, Sha256};

/// Answer of the server to one request. The last answer of a list is repeated.
#[derive(Clone)]
struct Answer {
    body: Vec<u8>,
    etag: Option<&'static str>,
    /// Send only this many bytes of the body.
    cut: Option<usize>,
    status: u16,
    ignores_range: bool,
    /// Send no `Content-Length`: the end of the connection is the end of the body.
    without_length: bool,
    /// Behavior after the body, while the client is connected.
    tail: Tail,
}

/// Behavior of the server after the body.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    Close,
    Stall,
    Drip,
    Endless,
}

impl Answer {
    fn whole(body: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            etag: Some("\"v1\""),
            cut: None,
            status: 200,
            ignores_range: false,
            without_length: false,
            tail: Tail::Close,
        }
    }
}

/// A request: `(path, Range, If-Range)`.
type Request = (String, Option<String>, Option<String>);

struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let answer = answers[index.min(answers.len() - 1)].clone();
                let request = serve(stream.unwrap(), &answer);
                seen.lock().unwrap().push(request);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        // The server records a request only after it has sent the answer.
        std::thread::sleep(Duration::from_millis(50));
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer) -> Request {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let path = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let headers: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(": ")
                .map(|(k, v)| (k.to_lowercase(), v.to_owned()))
        })
        .collect();
    let header = |name: &str| {
        headers
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
    };
    let (range, if_range) = (header("range"), header("if-range"));
    let from: usize = match &range {
        Some(range) if !answer.ignores_range && if_range.as_deref() == answer.etag => range
            .strip_prefix("bytes=")
            .and_then(|r| r.strip_suffix('-'))
            .unwrap()
            .parse()
            .unwrap(),
        _ => 0,
    };
    let body = &answer.body[from..];
    let mut head = match answer.status {
        200 if from > 0 => {
            let last = answer.body.len() - 1;
            format!(
                "HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-{last}/{}\r\n",
                answer.body.len()
            )
        }
        status => format!("HTTP/1.1 {status} X\r\n"),
    };
    if let Some(etag) = answer.etag {
        head += &format!("ETag: {etag}\r\n");
    }
    if !answer.without_length {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "Connection: close\r\n\r\n";
    let sent = &body[..answer.cut.unwrap_or(body.len()).min(body.len())];
    // The client may close the connection first.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(sent))
        .and_then(|()| go_on(&mut stream, answer.tail));
    (path, range, if_range)
}

fn go_on(stream: &mut TcpStream, tail: Tail) -> std::io::Result<()> {
    loop {
        match tail {
            Tail::Close => return Ok(()),
            Tail::Stall => std::thread::sleep(Duration::from_secs(60)),
            Tail::Drip => {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Tail::Endless => stream.write_all(&[0; 1 << 16])?,
        }
    }
}

/// First bytes of the file that the tests fetch.
const HEAD: &[u8] = b"a whole file:";
const TAIL: &[u8] = b":end";

/// The complete file that the tests fetch.
fn whole_file() -> Vec<u8> {
    [HEAD, &[7; 150_000], TAIL].concat()
}

/// Checks that a file begins and ends as [`whole_file`].
fn is_whole(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    match bytes.starts_with(HEAD) && bytes.ends_with(TAIL) {
        true => Ok(()),
        false => Err("it is another file".to_owned()),
    }
}

fn body() -> Vec<u8> {
    (0..300_000u32).flat_map(|v| v.to_le_bytes()).collect()
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn options() -> (tempfile::TempDir, DownloadOptions) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = DownloadOptions::new(folder.path().join("cache"));
    options.retries = 2;
    options.backoff = Duration::from_millis(1);
    (folder, options)
}

fn get(server: &Server, sha256: Option<&str>, options: &DownloadOptions) -> Result<PathBuf, Error> {
    get_checked(server, sha256, options, &|_| Ok(()))
}

fn get_checked(
    server: &Server,
    sha256: Option<&str>,
    options: &DownloadOptions,
    check: &dyn Fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, Error> {
    let remote = Remote {
        url: &format!("{}/net.pkl", server.url),
        name: "net.pkl",
        sha256,
        check,
    };
    fetch(&remote, options, &mut |_| ())
}

#[test]
fn fetched_once_and_then_from_the_cache() {
    let server = Server::start(vec![Answer::whole(&whole_file())]);
    let (_folder, mut options) = options();
    options.mirror = Some(format!("{}/nets/", server.url));
    let remote = Remote {
        url: &options.mirrored("https://example.org/some/folder/network.pkl"),
        name: "network.pkl",
        sha256: None,
        check: &is_whole,
    };
    let mut steps: Vec<DownloadProgress> = Vec::new();
    let path = fetch(&remote, &options, &mut |p| steps.push(p)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole_file());
    let n = whole_file().len() as u64;
    assert_eq!(
        steps.last(),
        Some(&DownloadProgress {
            done: n,
            total: Some(n)
        })
    );
    assert!(steps.len() > 1 && steps.is_sorted_by_key(|p| p.done));
    // A second use, offline.
    options.offline = true;
    assert_eq!(fetch(&remote, &options, &mut |_| ()).unwrap(), path);
    assert_eq!(
        server.requests(),
        [("/nets/network.pkl".to_owned(), None, None)]
    );
    let names: Vec<_> = std::fs::read_dir(&options.cache)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    // The cache has the file, its checksum and the lock file.
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let mut first = Answer::whole(&body());
    first.cut = Some(500_000);
    let server = Server::start(vec![first, Answer::whole(&body())]);
    let (_folder, options) = options();
    let path = get(&server, Some(&sha256(&body())), &options).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), body());
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let resumed_at: usize = requests[1]
        .1
        .as_ref()
        .unwrap()
        .trim_start_matches("bytes=")
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!(resumed_at > 0 && resumed_at <= 500_000, "{requests:?}");
    assert_eq!(requests[1].2.as_deref(), Some("\"v1\""));
}

#[test]
fn a_later_run_resumes_the_partial_file() {
    let mut cut = Answer::whole(&body());
    cut.cut = Some(100_000);
    let mut nothing = Answer::whole(&body());
    nothing.cut = Some(0);
    let server = Server::start(vec![
        cut,
        nothing.clone(),
        nothing.clone(),
        nothing,
        Answer::whole(&body()),
    ]);
    let (_folder, options) = options();
    let error = get(&server, None, &options).unwrap_err().to_string();
    assert!(error.contains("goes on where this one stopped"), "{error}");
    assert!(
        options
            .cache
            .join("net.pkl.partial")
            .metadata()
            .unwrap()
            .len()
            > 0
    );
    assert!(!options.cache.join("net.pkl").exists());
    assert_eq!(
        std::fs::read(get(&server, None, &options).unwrap()).unwrap(),
        body()
    );
    assert!(server.requests().last().unwrap().1.is_some());
}

#[test]
fn a_file_that_changed_meanwhile_starts_over() {
    let mut old = Answer::whole(&vec![7; 900_000]);
    old.cut = Some(400_000);
    let mut new = Answer::whole(&body());
    new.etag = Some("\"v2\"");
    let server = Server::start(vec![old, new]);
    let (_folder, options) = options();
    assert_eq!(
        std::fs::read(get(&server, None, &options).unwrap()).unwrap(),
        body()
    );
}

#[test]
fn a_server_without_ranges_starts_over() {
    let mut first = Answer::whole(&body());
    first.cut = Some(400_000);
    let mut second = Answer::whole(&body());
    second.ignores_range = true;
    let server = Server::start(vec![first, second]);
    let (_folder, options) = options();
    assert_eq!(
        std::fs::read(get(&server, None, &options).unwrap()).unwrap(),
        body()
    );
}

#[test]
fn refusals_and_wrong_contents_are_errors() {
    let mut missing = Answer::whole(b"no");
    missing.status = 404;
    let server = Server::start(vec![missing]);
    let (_folder, options) = options();
    let error = get(&server, None, &options).unwrap_err().to_string();
    assert!(
        error.contains("404") && error.contains("KAOGAN_MIRROR"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1, "a refusal is not repeated");

    let mut busy = Answer::whole(b"busy");
    busy.status = 503;
    let server = Server::start(vec![busy, Answer::whole(&body())]);
    let wrong = sha256(b"other");
    let error = get(&server, Some(&wrong), &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&wrong) && error.contains(&sha256(&body())),
        "{error}"
    );
    assert!(
        !options.cache.join("net.pkl").exists() && !options.cache.join("net.pkl.partial").exists()
    );
}

#[test]
fn damage_in_the_cache_is_noticed() {
    let server = Server::start(vec![Answer::whole(&body())]);
    let (_folder, mut options) = options();
    let path = get(&server, None, &options).unwrap();
    let mut damaged = body();
    damaged[1000] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    options.offline = true;
    let error = get(&server, None, &options).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    options.offline = false;
    assert_eq!(
        std::fs::read(get(&server, None, &options).unwrap()).unwrap(),
        body()
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn offline_without_the_file_says_where_to_put_it() {
    let (_folder, mut options) = options();
    options.offline = true;
    let remote = Remote {
        url: "https://example.org/network.pkl",
        name: "network.pkl",
        sha256: None,
        check: &is_whole,
    };
    let error = fetch(&remote, &options, &mut |_| ())
        .unwrap_err()
        .to_string();
    let place = options.cache.join("network.pkl").display().to_string();
    assert!(
        error.contains("KAOGAN_OFFLINE") && error.contains(&place),
        "{error}"
    );
    assert!(!options.cache.exists());
}

#[test]
fn two_at_once_fetch_once() {
    let server = Server::start(vec![Answer::whole(&body())]);
    let (_folder, options) = options();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| get(&server, None, &options).unwrap()))
            .collect();
        for worker in workers {
            assert_eq!(std::fs::read(worker.join().unwrap()).unwrap(), body());
        }
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn https_means_tls() {
    // This server does not use TLS, so the handshake must fail, without a fallback to plain HTTP and without a panic.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/net.pkl", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let (_folder, mut options) = options();
    options.retries = 0;
    let remote = Remote {
        url: &url,
        name: "net.pkl",
        sha256: None,
        check: &|_| Ok(()),
    };
    let error = fetch(&remote, &options, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, Error::Failed { .. }), "{error}");
    assert!(!options.cache.join("net.pkl").exists());
}

/// The error of a download from a server that may never end its answer.
fn error_of(answer: Answer, change: impl FnOnce(&mut DownloadOptions)) -> String {
    // `Server::start` serves connections one after the other; here each has its own thread.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server {
        url: format!("http://{}", listener.local_addr().unwrap()),
        requests: Arc::default(),
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream.unwrap(), &answer));
        }
    });
    let (_folder, mut options) = options();
    options.idle = Duration::from_millis(200);
    options.retries = 1;
    change(&mut options);
    let error = get(&server, None, &options).unwrap_err().to_string();
    assert!(!options.cache.join("net.pkl").exists());
    error
}

#[test]
fn a_server_that_stops_sending_is_given_up() {
    let mut answer = Answer::whole(&body());
    (answer.cut, answer.tail) = (Some(100), Tail::Stall);
    let error = error_of(answer, |_| ());
    assert!(error.contains("the connection broke after"), "{error}");
}

#[test]
fn a_byte_now_and_then_is_no_progress() {
    let mut answer = Answer::whole(&body());
    (answer.cut, answer.tail) = (Some(0), Tail::Drip);
    let error = error_of(answer, |_| ());
    assert!(error.contains("bytes came in"), "{error}");
}

#[test]
fn an_endless_body_does_not_fill_the_disk() {
    let mut answer = Answer::whole(&[]);
    (answer.without_length, answer.tail) = (true, Tail::Endless);
    let error = error_of(answer.clone(), |options| options.max_bytes = 1 << 24);
    assert!(error.contains("larger than"), "{error}");
    answer.without_length = false;
    answer.body = body();
    let error = error_of(answer, |options| options.max_bytes = 1 << 20);
    assert!(error.contains("larger than"), "{error}");
}

#[test]
fn what_is_of_no_use_is_not_kept() {
    let page = Answer::whole(b"<!DOCTYPE html><title>Please log in</title>");
    let mut cut = Answer::whole(&whole_file());
    (cut.cut, cut.without_length) = (Some(whole_file().len() / 2), true);
    // An unusable file is fetched once more; then it is an error.
    for (answers, n_requests) in [
        (vec![page.clone()], 2),
        (vec![cut.clone()], 2),
        (vec![cut, Answer::whole(&whole_file())], 2),
    ] {
        let (_folder, options) = options();
        let server = Server::start(answers.clone());
        let fetched = get_checked(&server, None, &options, &is_whole);
        assert_eq!(server.requests().len(), n_requests);
        match answers.len() {
            1 => {
                let error = fetched.unwrap_err().to_string();
                assert!(error.contains("of no use"), "{error}");
                let path = options.cache.join("net.pkl");
                assert!(!path.exists() && !path.with_extension("pkl.partial").exists());
            }
            _ => assert_eq!(std::fs::read(fetched.unwrap()).unwrap(), whole_file()),
        }
    }
    // An earlier version kept such a page in the cache, with its checksum.
    let (_folder, options) = options();
    std::fs::create_dir_all(&options.cache).unwrap();
    let path = options.cache.join("net.pkl");
    std::fs::write(&path, &page.body).unwrap();
    let sum = format!("{}\n", sha256(&page.body));
    std::fs::write(path.with_extension("pkl.sha256"), sum).unwrap();
    let server = Server::start(vec![Answer::whole(&whole_file())]);
    let fetched = get_checked(&server, None, &options, &is_whole).unwrap();
    assert_eq!(std::fs::read(fetched).unwrap(), whole_file());
}

#[test]
fn a_lock_that_nobody_works_under_is_told() {
    let server = Server::start(vec![Answer::whole(&body())]);
    let (_folder, mut options) = options();
    options.patience = Duration::from_millis(300);
    std::fs::create_dir_all(&options.cache).unwrap();
    let lock = options.cache.join("net.pkl.lock");
    std::fs::write(&lock, "4711 1000000000\n").unwrap();
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let error = get(&server, None, &options).unwrap_err().to_string();
    assert!(
        error.contains("process 4711") && error.contains("net.pkl.lock"),
        "{error}"
    );
    drop(held);
    get(&server, None, &options).unwrap();
}
