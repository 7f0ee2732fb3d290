use std::fs;

use tempfile::TempDir;

use super::*;

/// `sh -c script` whose files are in `folder`.
fn shell(folder: &TempDir, name: &str, script: &str) -> Program {
    Program {
        name: name.to_owned(),
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        folder: folder.path().to_owned(),
        log: folder.path().join(format!("{name}.log")),
        run_as: RunAs::Same,
        stop: Signal::SIGTERM,
        patience: Duration::from_secs(20),
        may_be_killed: false,
        orphaned: Signal::SIGKILL,
        pause: Duration::from_millis(5),
    }
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap_or_default()
}

const LONG: Duration = Duration::from_secs(20);

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn what_ends_is_started_again_and_its_output_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // Ends twice, stays the third time.
    let script = "echo start >> starts; echo said; if [ $(wc -l < starts) -ge 3 ]; then exec sleep 1000; fi; exit 7";
    let mut child = Child::start(shell(&folder, "flaky", script)).unwrap();
    child
        .ready(2, LONG, async |_| {
            read(&folder, "starts").lines().count() == 3
        })
        .await
        .unwrap();
    let state = child.state.borrow().clone();
    assert_eq!(
        (state.ends, state.last_end.as_deref()),
        (2, Some("exit status: 7"))
    );
    let pid = state.pid.unwrap();
    assert!(alive(pid));
    child.stop(&CancellationToken::new()).await;
    assert!(!alive(pid));
    assert_eq!(read(&folder, "flaky.log"), "said\nsaid\nsaid\n");
}

#[test]
fn pauses_grow_up_to_a_limit() {
    let mut pause = Duration::from_millis(500);
    let mut pauses = vec![];
    for _ in 0..8 {
        pauses.push(pause.as_secs_f32());
        pause = longer(pause);
    }
    assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
}

#[tokio::test]
async fn what_ends_before_it_is_ready_is_reported_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::start(shell(
        &folder,
        "broken",
        "echo the disk is full >&2; exit 3",
    ))
    .unwrap();
    let refused = child
        .ready(0, LONG, async |_| false)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with("broken ended while starting (exit status: 3): the disk is full"),
        "{refused}"
    );
    child.stop(&CancellationToken::new()).await;
}

#[tokio::test]
async fn what_does_not_end_when_asked_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = shell(
        &folder,
        "deaf",
        "trap '' TERM; echo up > up; while :; do sleep 0.05; done",
    );
    program.patience = Duration::from_millis(300);
    let mut child = Child::start(program).unwrap();
    child
        .ready(0, LONG, async |_| !read(&folder, "up").is_empty())
        .await
        .unwrap();
    let pid = child.state.borrow().pid.unwrap();
    let begun = Instant::now();
    child.stop(&CancellationToken::new()).await;
    assert!(!alive(pid) && begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = shell(
        &folder,
        "deaf",
        "trap '' TERM; echo up > up; while :; do sleep 0.05; done",
    );
    program.patience = Duration::from_secs(1000);
    let mut child = Child::start(program).unwrap();
    child
        .ready(0, LONG, async |_| !read(&folder, "up").is_empty())
        .await
        .unwrap();
    let pid = child.state.borrow().pid.unwrap();
    let hurry = CancellationToken::new();
    hurry.cancel();
    tokio::time::timeout(LONG, child.stop(&hurry))
        .await
        .unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn the_tree_stops_in_the_reverse_order_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = super::super::tree::Tree::default();
    for name in ["first", "second", "third"] {
        let script = format!(
            "trap 'sleep 0.1; echo {name} >> order; exit' TERM; echo up > {name}; while :; do sleep 0.02; done"
        );
        let child = tree.start(shell(&folder, name, &script)).unwrap();
        child
            .ready(0, LONG, async |_| !read(&folder, name).is_empty())
            .await
            .unwrap();
    }
    tree.stop(&mut crate::serve::Ending::listen().unwrap())
        .await;
    assert_eq!(read(&folder, "order"), "third\nsecond\nfirst\n");
}
