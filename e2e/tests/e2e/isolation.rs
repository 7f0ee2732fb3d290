//! Two tenants who must not be able to tell that the other exists, and keys that may not do everything.

use std::time::{Duration, Instant};

use e2e::{Client, Stack, until};

#[test]
fn nobody_sees_another_and_a_key_does_what_it_may() {
    let stack = Stack::start(1);
    let a = each_has_its_own(&stack);
    expired(&stack, &a);
}

/// On a stack that has no tenants yet. Gives one of the two that it makes.
pub fn each_has_its_own(stack: &Stack) -> Client {
    let (a, b) = (stack.tenant("a"), stack.tenant("b"));
    let story = |which: &str, further: &[(&str, &Client)]| {
        let mut command = a.python_command("isolation.py", &[which]);
        command.env("A_KEY", a.pair()).env("B_KEY", b.pair());
        for (name, client) in further {
            command.env(name, client.pair());
        }
        print!(
            "{}",
            e2e::process::succeed(&mut command, Duration::from_secs(60))
        );
    };
    story("apart", &[]);

    let key = |words: &[&str]| {
        let all = [&["key", "create", "--tenant", &a.tenant_id], words].concat();
        Client::new(stack.folder(), &stack.ask(&all), &stack.endpoint(1))
    };
    let read = key(&[
        "--bucket",
        "scoped",
        "--prefix",
        "in/",
        "--permission",
        "read",
    ]);
    let prefix = key(&["--prefix", "in/"]);
    story("scoped", &[("READ_KEY", &read), ("PREFIX_KEY", &prefix)]);

    suspended(stack, &a, &b);
    a
}

fn suspended(stack: &Stack, a: &Client, b: &Client) {
    let url = a.presign("s3://same-name/who");
    stack.ask(&["tenant", "suspend", &a.tenant_id]);
    let refused = a.aws_fails(&["s3", "cp", "s3://same-name/who", "-"]);
    assert!(refused.contains("403"), "{refused}");
    let refused = a.aws_fails(&["s3", "ls"]);
    assert!(
        refused.contains("AccountProblem") && refused.contains("suspended"),
        "{refused}"
    );
    assert_eq!(status_of(&url), 403, "presigned links, too");
    assert_eq!(b.aws(&["s3", "cp", "s3://same-name/who", "-"]), "of b");
    stack.ask(&["tenant", "resume", &a.tenant_id]);
    assert_eq!(a.aws(&["s3", "cp", "s3://same-name/who", "-"]), "of a");
    assert_eq!(status_of(&url), 200);
}

fn expired(stack: &Stack, a: &Client) {
    let made = Instant::now();
    // Long enough for a first request on a busy machine.
    let life = Duration::from_secs(10);
    let words = [
        "key",
        "create",
        "--tenant",
        &a.tenant_id,
        "--expires-in",
        "10s",
    ];
    let short = Client::new(stack.folder(), &stack.ask(&words), &stack.endpoint(1));
    assert_eq!(short.aws(&["s3", "cp", "s3://same-name/who", "-"]), "of a");
    let refused = until("the key expires", Duration::from_secs(40), || {
        let mut command = short.aws_command(&["s3", "ls"]);
        let output = e2e::run(&mut command, Duration::from_secs(30));
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(made.elapsed() >= life, "it expired early");
    assert!(
        refused.contains("InvalidAccessKeyId") || refused.contains("ExpiredToken"),
        "{refused}"
    );
    assert_eq!(a.aws(&["s3", "cp", "s3://same-name/who", "-"]), "of a");
}

fn status_of(url: &str) -> u16 {
    e2e::http::get(url).expect("it answers").status
}
