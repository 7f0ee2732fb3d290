//! Objects of any size in memory of one size: one PUT and one GET of a body that is made while it is sent, and what the
//! data plane needed for it. The large one takes minutes: `make large`.

use std::time::Duration;

use e2e::Stack;
use e2e::process::{forget_peak, memory, succeed};

/// What a body may add to what the node needs at rest, most of which is the program itself: this is a development build.
const MOST_KIB: u64 = 24 << 10;

#[test]
fn half_a_gibibyte_streams_through_little_memory() {
    streams(512 << 20);
}

#[test]
#[ignore = "make large"]
fn five_gigabytes_stream_through_little_memory() {
    streams(5_000_000_000);
}

fn streams(size: u64) {
    let stack = Stack::start(1);
    let client = stack.tenant("streams");
    client.aws(&["s3", "mb", "s3://large"]);
    let pid = stack.dataplane_pid(1);
    let rest = memory(pid, "VmRSS");
    println!("at rest: {rest} KiB");
    let pass = |way: &str| {
        forget_peak(pid);
        let mut command =
            client.python_command("stream.py", &[way, "large", "one", &size.to_string()]);
        let said = succeed(&mut command, Duration::from_secs(1200));
        let (digest, seconds) = said.trim().split_once(' ').expect("digest and seconds");
        let peak = memory(pid, "VmHWM");
        let rate = size as f64 / 1e6 / seconds.parse::<f64>().expect("a number");
        println!("{way} of {size} bytes: {seconds} s ({rate:.0} MB/s), peak {peak} KiB");
        assert!(peak < rest + MOST_KIB, "{way} needed {peak} KiB");
        digest.to_owned()
    };
    let (sent, read) = (pass("put"), pass("get"));
    assert_eq!(sent, read);
}
