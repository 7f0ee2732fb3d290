//! `vaultaire completion SHELL`: the shell itself takes the script, and completes with it.
//! A shell that is not on this machine is passed over, and said to be.

use std::io::Write;
use std::process::{Command, Stdio};

fn script(shell: &str) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_vaultaire"))
        .args(["completion", shell])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap()
}

/// What bash offers for the line, whose last word is being typed.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut bash = Command::new("bash")
        .args(["--norc", "--noprofile", "-s", "--"])
        .args(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = r#"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function=$(complete -p vaultaire | sed -n 's/.*-F \([^ ]*\).*/\1/p')
"$function" vaultaire "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let mut input = bash.stdin.take().unwrap();
    input
        .write_all(format!("{}\n{ask}", script("bash")).as_bytes())
        .unwrap();
    drop(input);
    let said = bash.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_options() {
    assert_eq!(offered("vaultaire ten"), ["tenant"]);
    assert_eq!(offered("vaultaire tenant su"), ["suspend"]);
    assert_eq!(offered("vaultaire node list --js"), ["--json"]);
    assert_eq!(offered("vaultaire completion zs"), ["zsh"]);
    let all = offered("vaultaire ");
    assert!(all.contains(&"doctor".to_owned()), "{all:?}");
    assert!(!all.contains(&"make-tenants".to_owned()), "{all:?}");
}

/// The shell's own parser takes it.
#[test]
fn other_shells_take_their_script() {
    for shell in ["zsh", "fish", "elvish"] {
        let script = script(shell);
        assert!(script.contains("tenant"), "{shell}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        std::fs::write(&file, script).unwrap();
        let option = if shell == "elvish" {
            "-compileonly"
        } else {
            "-n"
        };
        match Command::new(shell).arg(option).arg(&file).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(_) => eprintln!("{shell} is not on this machine: its script was not tried"),
        }
    }
}
