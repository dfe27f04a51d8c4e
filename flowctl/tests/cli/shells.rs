//! Completion by the shells themselves, with the scripts that they load. The test of a shell that is not installed says so
//! and passes; `./dev setup test` installs all of them.
#![expect(clippy::print_stderr, reason = "says which shell is missing")]

use std::path::{Path, PathBuf};

use super::completion::relay;
use super::program::{flowctl, flowctl_says, isolated, run};

/// A shell, where it is installed.
fn shell(name: &str) -> Option<PathBuf> {
    let found = ["/bin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed (./dev setup test)");
    }
    found
}

/// A folder with the script of a shell, and one with `flowctl` for its search path.
struct Scripts(tempfile::TempDir);

impl Scripts {
    fn of(shell: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = flowctl_says(&["completion", shell]);
        assert_eq!((script.stderr.as_str(), script.code), ("", Some(0)));
        std::fs::write(folder.path().join("script"), script.stdout).unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(flowctl(&[]).get_program(), folder.path().join("bin/flowctl")).unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        std::fs::write(folder.path().join("home/flows.json"), "").unwrap();
        Self(folder)
    }

    /// What a shell says that runs this with these arguments.
    fn run(&self, shell: &Path, arguments: &[&str]) -> String {
        let path = format!("{}:/usr/bin:/bin", self.0.path().join("bin").display());
        let home = self.0.path().join("home");
        let mut command = isolated(shell, arguments);
        command.env("PATH", path).env("HOME", &home).env("TERM", "xterm").current_dir(&home);
        let outcome = run(&mut command);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
        outcome.stdout
    }

    fn script(&self) -> String {
        self.0.path().join("script").display().to_string()
    }
}

/// What bash offers for a line, by the script that it sources; pieces are cut as bash cuts them.
fn bash(server: &str, pieces: &[&str]) -> Vec<String> {
    let script = flowctl_says(&["completion", "bash"]).stdout;
    let program = flowctl(&[]).get_program().to_string_lossy().into_owned();
    let quoted: Vec<String> = pieces.iter().map(|piece| format!("'{}'", piece.replace('\'', "'\\''"))).collect();
    let text = format!(
        "{script}\nCOMP_WORDS=({program} --server {server} {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _flowctl; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" ")
    );
    let outcome = run(&mut isolated("/bin/bash".as_ref(), &["-c", &text]));
    assert_eq!(outcome.stderr, "", "{pieces:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_cuts_words_and_gets_what_fits_its_pieces() {
    let server = relay();
    let address = server.address.to_string();
    for (pieces, expected) in [
        (&["observe", "--namespace", "sh"][..], &["shop"][..]),
        (&["observe", "--namespace", "=", "sh"], &["shop"]),
        (
            &["observe", "--verdict", "="],
            &["FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED"],
        ),
        (&["observe", "-t", "trace", ":", "to-e"], &["to-endpoint"]),
        (&["observe", "--where", "verdict", "=", "dro"], &["dropped", "dropped\\ and\\ ", "dropped\\ or\\ "]),
        (&["observe", "--where", "'pod=a and src.n"], &["pod=a and src.ns=", "pod=a and src.ns in ("]),
        (&["observe", "--where", "\"src.ns=sh"], &["src.ns=shop", "src.ns=shop and ", "src.ns=shop or "]),
    ] {
        assert_eq!(bash(&address, pieces), expected, "{pieces:?}");
    }
}

/// Lines up to the cursor, and what is offered for them, sorted.
const LINES: [(&str, &[&str]); 11] = [
    ("obs", &["observe"]),
    ("config ", &["get", "reset", "set", "view"]),
    ("observe --verd", &["--verdict"]),
    ("observe --verdict DRO", &["DROPPED"]),
    ("observe --verdict=T", &["--verdict=TRACED", "--verdict=TRANSLATED"]),
    ("observe -t trace:to-e", &["trace:to-endpoint"]),
    ("observe --namespace sh", &["shop"]),
    ("observe --to-namespace=ku", &["--to-namespace=kube-system"]),
    ("observe --pod default/xw", &["default/xwing"]),
    ("observe --where 'src.ns=sh", &["src.ns=shop", "src.ns=shop and ", "src.ns=shop or "]),
    (
        "observe --where \"verdict=dropped and src.n",
        &["verdict=dropped and src.ns in (", "verdict=dropped and src.ns="],
    ),
];

#[test]
fn fish_offers_what_is_known() {
    let Some(fish) = shell("fish") else { return };
    let (server, scripts) = (relay(), Scripts::of("fish"));
    let offered = |line: &str| -> Vec<String> {
        let line = format!("flowctl {} {line}", server.flag());
        let text = scripts
            .run(&fish, &["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", &scripts.script(), &line]);
        let mut offered: Vec<String> = text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        offered.sort();
        offered
    };
    for (line, expected) in LINES {
        assert_eq!(offered(line), expected, "{line}");
    }
    assert_eq!(offered("observe --input-file fl"), ["flows.json"], "files where nothing else fits");
    assert!(offered("observe --ip ").iter().all(|offer| offer != "flows.json"), "no files where they mean nothing");
}

#[test]
fn a_link_of_another_name_is_completed_too() {
    for (shell, expected) in [
        ("bash", "complete -F _flowctl flowctl hubble\n"),
        ("fish", "complete -c flowctl -c hubble -f -a "),
        ("powershell", "-CommandName flowctl, hubble -ScriptBlock"),
        ("zsh", "#compdef flowctl hubble\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("hubble");
        std::os::unix::fs::symlink(flowctl(&[]).get_program(), &link).unwrap();
        let script = run(&mut isolated(&link, &["completion", shell])).stdout;
        assert!(script.contains(expected), "{shell}: {script}");
        let own = flowctl_says(&["completion", shell]).stdout;
        assert!(!own.contains("hubble"), "{shell}: {own}");
        // A name that means something to a shell is none to put into a script.
        let strange = folder.path().join("a;b");
        std::os::unix::fs::symlink(flowctl(&[]).get_program(), &strange).unwrap();
        assert_eq!(run(&mut isolated(&strange, &["completion", shell])).stdout, own, "{shell}");
    }
}

#[test]
fn zsh_completes_by_a_file_in_fpath() {
    let Some(zsh) = shell("zsh") else { return };
    let scripts = Scripts::of("zsh");
    let settings = scripts.0.path().join("zsh");
    std::fs::create_dir(&settings).unwrap();
    let found = ZSHRC.replace("autoload -Uz compinit", "fpath=(${ZDOTDIR} $fpath); autoload -Uz compinit");
    let found = found.replace("source ${ZDOTDIR:h}/script\n", "");
    std::fs::write(settings.join(".zshrc"), found).unwrap();
    std::fs::copy(scripts.0.path().join("script"), settings.join("_flowctl")).unwrap();
    let said =
        scripts.run(&zsh, &["-f", "-c", TYPE, "type", settings.to_str().unwrap(), "flowctl observe --verdict F"]);
    assert!(said.contains("<OFFER FORWARDED>"), "{said}");
}

/// What an interactive zsh reads before its first prompt. Nothing of it is typed, so no echo can pass for an answer.
const ZSHRC: &str = r#"
PS1="<READY>" RPS1= PS2=
unset zle_bracketed_paste
autoload -Uz compinit; compinit -u -D
source ${ZDOTDIR:h}/script
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
    local -a found
    builtin compadd -O found "$@"
    local offer
    for offer in $found; do print -r -- "<OFFER $IPREFIX$offer>"; done
    builtin compadd "$@"
}
complete-and-tell() { zle complete-word; print -r -- "<LINE $BUFFER>"; print -r -- "<END>"; exit }
zle -N complete-and-tell
bindkey "^X" complete-and-tell
"#;

/// Types a line into an interactive zsh and asks for completion: prints what is offered, and the line as it is then.
const TYPE: &str = r#"
zmodload zsh/zpty
zpty z ZDOTDIR=${(q)1} zsh -d -i
zpty -r z said "*<READY>*"
zpty -n -w z "$2"$'\x18'
zpty -r z said "*<END>*"
print -r -- "$said"
"#;

#[test]
fn zsh_offers_what_is_known() {
    let Some(zsh) = shell("zsh") else { return };
    let (server, scripts) = (relay(), Scripts::of("zsh"));
    let settings = scripts.0.path().join("zsh");
    std::fs::create_dir(&settings).unwrap();
    std::fs::write(settings.join(".zshrc"), ZSHRC).unwrap();
    let typed = |line: &str| -> (Vec<String>, String) {
        let line = format!("flowctl {} {line}", server.flag());
        let said = scripts.run(&zsh, &["-f", "-c", TYPE, "type", settings.to_str().unwrap(), &line]).replace('\r', "");
        let between = |line: &str, begin: &str| Some(line.split_once(begin)?.1.strip_suffix('>')?.to_owned());
        let mut offered: Vec<String> = said.lines().filter_map(|line| between(line, "<OFFER ")).collect();
        offered.sort();
        let line = said.lines().find_map(|line| between(line, "<LINE ")).unwrap_or_else(|| panic!("{said}"));
        (offered, line.split_once(&server.flag()).unwrap().1.trim_start().to_owned())
    };
    for (line, expected) in LINES {
        let (offered, line_then) = typed(line);
        assert_eq!(offered, expected, "{line}");
        if let ([only], Some((before, _))) = (expected, line.rsplit_once([' '])) {
            assert_eq!(line_then, format!("{before} {only} "), "{line}");
        }
    }
    assert_eq!(typed("observe --where verdict=dropp").1, "observe --where verdict=dropped", "no space where more fits");
    assert_eq!(typed("observe --input-file fl").1, "observe --input-file flows.json ");
    assert_eq!(typed("observe --ip ").1, "observe --ip ", "no files where they mean nothing");
}
