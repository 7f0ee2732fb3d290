//! What S3's own clients do on a first day, with their default settings, and what both planes write down of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use e2e::process::{run, succeed};
use e2e::stack::ready;
use e2e::{Client, Process, Stack, logs, tools};

/// In each name of an object here, so that the logs can be searched for it.
const MARK: &str = "never-in-a-log";

#[test]
fn aws_boto3_rclone_and_s3cmd_work_and_the_logs_are_clean() {
    all_work_and_the_logs_are_clean(&Stack::start(1));
}

/// On a stack that has no tenants yet.
pub fn all_work_and_the_logs_are_clean(stack: &Stack) {
    let tls = Tls::start(stack);
    let (aws, boto3) = (stack.tenant("aws"), stack.busy_tenant("boto3"));
    let (rclone, s3cmd) = (stack.tenant("rclone"), stack.tenant("s3cmd"));
    let told = std::thread::scope(|scope| {
        let told = scope.spawn(|| boto3_story(stack, &boto3, &tls));
        aws_story(&aws, &tls);
        told.join().expect("boto3's story went well")
    });
    println!("{told}");
    rclone_story(&rclone);
    s3cmd_story(&s3cmd);

    let id = told
        .lines()
        .find_map(|line| line.strip_prefix("CreateBucket's request id is "))
        .expect("boto3's story says it");
    logs_story(stack, &[&aws, &boto3, &rclone, &s3cmd], id);
}

/// `aws s3 sync` compares two listings in S3's order, by the bytes of whole keys.
#[test]
fn a_sync_of_what_is_there_already_does_nothing() {
    let stack = Stack::start(1);
    let aws = stack.tenant("aws");
    let tree = aws.file("tree");
    fs::create_dir_all(tree.join("a")).unwrap();
    for name in ["a/1", "a b", "a-b", "a.txt", "b"] {
        fs::write(tree.join(name), name).unwrap();
        // S3 tells times in whole seconds: a file of the same second as its object is newer.
        let file = fs::File::options().append(true).open(tree.join(name));
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.and_then(|file| file.set_modified(long_ago)).unwrap();
    }
    aws.aws(&["s3", "mb", "s3://trees"]);
    let tree = tree.display().to_string();
    aws.aws(&["s3", "sync", &tree, "s3://trees"]);
    for _ in 0..2 {
        assert_eq!(
            aws.aws(&["s3", "sync", "--delete", &tree, "s3://trees"]),
            ""
        );
    }
}

/// TLS before data plane 1.
struct Tls {
    url: String,
    certificate: String,
    _process: Process,
}

impl Tls {
    fn start(stack: &Stack) -> Self {
        let mut command = std::process::Command::new(tools::python_tool("python"));
        command.arg(tools::script("tls.py"));
        command.arg(format!("127.0.0.1:{}", stack.addresses.s3));
        command.arg(stack.folder());
        let mut process = Process::start("tls", stack.folder(), &command);
        ready(&mut process, "https://", Duration::from_secs(30)).expect("TLS can be set up");
        let certificate = stack.folder().join("cert.pem");
        Self {
            url: process.said().trim().to_owned(),
            certificate: certificate.display().to_string(),
            _process: process,
        }
    }
}

fn boto3_story(stack: &Stack, client: &Client, tls: &Tls) -> String {
    let mut command = client.python_command("boto3_story.py", &[]);
    command
        .env("ENGINE_LACKS", stack.lacks().join(" "))
        .env("AWS_ACCESS_KEY_ID", &client.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &client.secret_access_key)
        .env("S3_DOMAIN", e2e::stack::DOMAIN)
        .env("TLS_ENDPOINT", &tls.url)
        .env("TLS_CA", &tls.certificate);
    succeed(&mut command, Duration::from_secs(180))
}

/// Bytes in which a part that is lost, doubled or swapped shows.
fn bytes(count: usize) -> Vec<u8> {
    let words = (0..count.div_ceil(8) as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut all: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    all.truncate(count);
    all
}

fn same(left: &Path, right: &Path) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(read(left) == read(right), "{left:?} and {right:?} differ");
}

fn aws_story(aws: &Client, tls: &Tls) {
    let at = |name: &str| aws.file(name).display().to_string();
    aws.aws(&["s3", "mb", "s3://photos"]);
    assert!(aws.aws(&["s3", "ls"]).trim_end().ends_with(" photos"));

    fs::write(aws.file("hello"), "hello").unwrap();
    let hello = format!("s3://photos/{MARK} é+%.txt");
    aws.aws(&["s3", "cp", &at("hello"), &hello]);
    assert_eq!(aws.aws(&["s3", "cp", &hello, "-"]), "hello");
    let listed = aws.aws(&["s3", "ls", "s3://photos/"]);
    assert!(listed.contains(&format!("5 {MARK} é+%.txt")), "{listed}");

    // 60 MB: eight parts at once, each way.
    fs::write(aws.file("big"), bytes(60_000_000)).unwrap();
    let big = format!("s3://photos/{MARK}/big");
    aws.aws(&["s3", "cp", &at("big"), &big]);
    aws.aws(&["s3", "cp", &big, &at("big.back")]);
    same(&aws.file("big"), &aws.file("big.back"));

    presigned(aws, &hello);
    synced(aws);
    over_tls(aws, tls, &hello);

    let refused = aws.aws_fails(&["s3", "rb", "s3://photos"]);
    assert!(refused.contains("BucketNotEmpty"), "{refused}");
    aws.aws(&["s3", "rm", &hello]);
    let gone = aws.aws_fails(&["s3", "cp", &hello, "-"]);
    assert!(gone.contains("404"), "{gone}");
    aws.aws(&["s3", "rm", "--recursive", "s3://photos"]);
    aws.aws(&["s3", "rb", "s3://photos"]);
    assert_eq!(aws.aws(&["s3", "ls"]), "");
}

fn presigned(aws: &Client, object: &str) {
    let url = aws.presign(object);
    assert!(url.contains("X-Amz-Algorithm=AWS4-HMAC-SHA256"), "{url}");
    let fetch =
        "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())";
    let mut plain = std::process::Command::new(tools::python_tool("python"));
    plain.env_clear().args(["-c", fetch, &url]);
    assert_eq!(succeed(&mut plain, Duration::from_secs(30)), "hello");
}

fn synced(aws: &Client) {
    let tree = aws.file("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    for name in ["1", "a/2", "a/b/3 & 4", "b c"] {
        fs::write(tree.join(name), name).unwrap();
    }
    let (tree, to) = (tree.display().to_string(), "s3://photos/tree");
    assert_eq!(
        aws.aws(&["s3", "sync", &tree, to])
            .matches("upload:")
            .count(),
        4
    );
    fs::remove_file(aws.file("tree/a/2")).unwrap();
    let again = aws.aws(&["s3", "sync", "--delete", &tree, to]);
    assert!(again.contains("delete: s3://photos/tree/a/2"), "{again}");
    let back = aws.file("tree.back").display().to_string();
    aws.aws(&["s3", "sync", to, &back]);
    for name in ["1", "a/b/3 & 4", "b c"] {
        same(
            &aws.file("tree").join(name),
            &aws.file("tree.back").join(name),
        );
    }
    assert!(!aws.file("tree.back/a/2").exists());
}

/// Over TLS the same program sends its body in chunks with a trailer.
fn over_tls(aws: &Client, tls: &Tls, object: &str) {
    let tls = aws.at(&tls.url).with_certificate(&tls.certificate);
    let copy = format!("{object}.tls");
    tls.aws(&["s3", "cp", &aws.file("big").display().to_string(), &copy]);
    tls.aws(&["s3", "cp", &copy, &tls.file("back").display().to_string()]);
    same(&aws.file("big"), &tls.file("back"));
}

fn rclone_story(rclone: &Client) {
    rclone.rclone(&["mkdir", "v:trees"]);
    let tree = rclone.file("tree");
    fs::create_dir_all(tree.join("x/y é")).unwrap();
    for name in ["1", "x/2", "x/y é/3", "x/4+%"] {
        fs::write(tree.join(name), format!("{MARK} {name}")).unwrap();
    }
    fs::write(tree.join("big"), bytes(12_000_000)).unwrap();
    let tree = tree.display().to_string();
    rclone.rclone(&["copy", &tree, "v:trees/copied"]);
    rclone.rclone(&["check", &tree, "v:trees/copied"]);
    rclone.rclone(&["check", "--download", &tree, "v:trees/copied"]);
    assert_eq!(
        rclone.rclone(&["cat", "v:trees/copied/x/2"]),
        format!("{MARK} x/2")
    );

    fs::remove_file(rclone.file("tree/x/2")).unwrap();
    fs::write(rclone.file("tree/1"), "changed").unwrap();
    let differs = rclone.rclone_fails(&["check", &tree, "v:trees/copied"]);
    assert!(differs.contains("2 differences found"), "{differs}");
    rclone.rclone(&["sync", &tree, "v:trees/copied"]);
    rclone.rclone(&["check", &tree, "v:trees/copied"]);
    let mut names: Vec<String> = rclone
        .rclone(&["lsf", "-R", "--files-only", "v:trees"])
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["copied/1", "copied/big", "copied/x/4+%", "copied/x/y é/3"]
    );
    rclone.rclone(&["purge", "v:trees"]);
    assert_eq!(rclone.rclone(&["lsf", "v:"]), "");
}

fn s3cmd_story(s3cmd: &Client) {
    s3cmd.s3cmd(&["mb", "s3://things"]);
    fs::write(s3cmd.file("big"), bytes(20_000_000)).unwrap();
    let big = s3cmd.file("big").display().to_string();
    s3cmd.s3cmd(&["put", &big, "s3://things/a b+é"]);
    let listed = s3cmd.s3cmd(&["ls", "s3://things"]);
    assert!(
        listed.contains("20000000") && listed.contains("s3://things/a b+é"),
        "{listed}"
    );
    let back = s3cmd.file("back").display().to_string();
    s3cmd.s3cmd(&["get", "s3://things/a b+é", &back]);
    same(&s3cmd.file("big"), &s3cmd.file("back"));
    s3cmd.s3cmd(&["del", "s3://things/a b+é"]);
    assert_eq!(s3cmd.s3cmd(&["ls", "s3://things"]), "");
    s3cmd.s3cmd(&["rb", "s3://things"]);
}

fn logs_story(stack: &Stack, clients: &[&Client], create_bucket: &str) {
    let mut secrets: Vec<(&str, String)> = vec![("an object's key", MARK.to_owned())];
    for client in clients {
        secrets.push(("a secret key", client.secret_access_key.clone()));
    }
    for name in ["admin.token", "master.key", "database.password"] {
        let secret = fs::read_to_string(stack.data_dir().join("controlplane").join(name));
        secrets.push((name, secret.unwrap().trim().to_owned()));
    }
    let secrets: Vec<(&str, &str)> = secrets.iter().map(|(n, s)| (*n, s.as_str())).collect();
    for plane in ["controlplane", "dataplane-1"] {
        let lines = logs::lines(&stack.log(plane));
        let line = logs::of_request(&lines, create_bucket);
        assert!(line.is_some(), "{create_bucket} is not in {plane}'s log");
        logs::holds_none_of(&stack.log(plane), &secrets);
    }

    // A refusal, too, is found by the id that the client was told.
    let mut refused =
        clients[0].aws_command(&["--debug", "s3api", "head-bucket", "--bucket", "none"]);
    let said = run(&mut refused, Duration::from_secs(30));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let id = said
        .split("x-amz-request-id': '")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let id = id.unwrap_or_else(|| panic!("no request id in {said}"));
    let lines = logs::lines(&stack.log("dataplane-1"));
    let line = logs::of_request(&lines, id).expect("the refusal is in the log");
    assert_eq!(
        (line["operation"].as_str(), line["status"].as_u64()),
        (Some("HeadBucket"), Some(404))
    );
    assert_eq!(line["tenant"], clients[0].tenant_id.as_str());
}
