//! How a script travels: one fixed command, the script as a file whose length and hash are checked before anything runs, and an
//! answer between random marks. Pure.

use sha2::{Digest, Sha256};

/// The command, the same for every script. It reads a line with hash, length and mark, then the script, and runs it if it
/// arrived whole. It is one line in single quotes, so that any login shell passes it on.
pub(super) const COMMAND: &str = "exec sh -c 'umask 077; d=$(mktemp -d) || exit 71; trap \"rm -rf \\\"\\$d\\\"\" EXIT; \
trap \"exit 129\" HUP INT TERM PIPE; read -r sum len mark || exit 70; cat >\"$d/script\" || exit 71; \
got=$(sha256sum <\"$d/script\") && size=$(wc -c <\"$d/script\") || exit 71; \
if [ \"${got%% *}\" != \"$sum\" ] || [ \"$((size))\" != \"$len\" ]; then echo; echo \"$mark cut\"; exit 70; fi; \
echo; echo \"$mark begin\"; sh \"$d/script\" </dev/null 2>\"$d/err\"; rc=$?; \
[ $rc = 0 ] || tail -n 20 \"$d/err\" | sed \"s/^/error /\"; echo; echo \"$mark end $rc\"'";

/// The exit code of the command if it could not store the script.
pub(super) const NOT_STORED: u32 = 71;

/// The answer of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptReply {
    /// What it wrote, line by line; untrusted.
    pub lines: Vec<String>,
    /// Its exit code.
    pub exit: u8,
}

/// What stands between the marks of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// The whole answer.
    Reply(ScriptReply),
    /// The script did not arrive whole.
    Cut,
    /// It began, and its end is missing.
    Unfinished,
    /// Nothing of ours; the first line of what is there.
    Foreign(String),
}

/// What is sent: the line of the check, and the script.
pub(super) fn framed_input(script: &str, mark: &str) -> Vec<u8> {
    let sum = hex::encode(Sha256::digest(script));
    format!("{sum} {} {mark}\n{script}", script.len()).into_bytes()
}

/// Finds the answer in what a session wrote. Greetings of a login shell before and after it are left out.
pub(super) fn read_frame(output: &[u8], mark: &str) -> Framed {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    let position = |wanted: &str| lines.iter().position(|line| line.strip_prefix(mark) == Some(wanted));
    if position(" cut").is_some() {
        return Framed::Cut;
    }
    let Some(begin) = position(" begin") else {
        let first = lines.iter().find(|line| !line.trim().is_empty());
        return Framed::Foreign(first.copied().unwrap_or_default().to_owned());
    };
    let lines_from = lines.iter().enumerate().skip(begin);
    let mut ends =
        lines_from.filter_map(|(at, line)| Some((at, line.strip_prefix(mark)?.strip_prefix(" end ")?)));
    let end = ends.next();
    let Some((end, exit)) = end.and_then(|(at, code)| Some((at, code.parse().ok()?))) else {
        return Framed::Unfinished;
    };
    let own = &lines[begin + 1..end];
    let lines = own.iter().filter(|line| !line.is_empty()).map(|line| (*line).to_owned()).collect();
    Framed::Reply(ScriptReply { lines, exit })
}

/// A text as one word of POSIX sh, whatever is in it. NUL cannot be in a word and is left out.
pub fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn run_command(shell: &str, input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(shell)
            .args(["-c", COMMAND])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn script_runs_only_if_it_arrived_whole() {
        let flag = tempfile::tempdir().unwrap();
        let file = flag.path().join("ran");
        let script = format!("echo one\n: >{}\necho 'two words'\nexit 3\n", file.display());
        let whole = framed_input(&script, "mark");
        for cut in 0..whole.len() {
            let output = run_command("sh", &whole[..cut]);
            assert!(!matches!(read_frame(&output, "mark"), Framed::Reply(_)), "cut at {cut}");
            assert!(!file.exists(), "cut at {cut}");
        }
        let reply = read_frame(&run_command("sh", &whole), "mark");
        let lines = vec!["one".to_owned(), "two words".to_owned()];
        assert_eq!(reply, Framed::Reply(ScriptReply { lines, exit: 3 }));
        assert!(file.exists());
    }

    #[test]
    fn reader_that_goes_away_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", COMMAND])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.stdin.take().unwrap().write_all(&framed_input("echo one\n", "mark")).unwrap();
        child.wait().unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn answer_is_found_among_other_output() {
        let reply = |lines: &[&str], exit| {
            Framed::Reply(ScriptReply { lines: lines.iter().map(|line| (*line).to_owned()).collect(), exit })
        };
        let table = [
            ("motd\n\nM begin\na\nb\n\nM end 0\nbye\n", reply(&["a", "b"], 0)),
            ("\nM begin\r\na\r\nM end 7\r\n", reply(&["a"], 7)),
            ("no newline before\nM begin\nM end 0", reply(&[], 0)),
            ("M begin\na\n", Framed::Unfinished),
            ("M begin\na\nM end x\n", Framed::Unfinished),
            ("\nM cut\n", Framed::Cut),
            (
                "This account is currently not available.\n",
                Framed::Foreign("This account is currently not available.".into()),
            ),
            ("N begin\nN end 0\n", Framed::Foreign("N begin".into())),
            ("", Framed::Foreign(String::new())),
        ];
        for (output, expected) in table {
            assert_eq!(read_frame(output.as_bytes(), "M"), expected, "{output:?}");
        }
    }

    #[test]
    fn quoted_text_arrives_as_it_is() {
        for text in ["", "a b", "'", "$X `id` \\ \" ' \n\t\r ü🚀 ${Y:-z} !#*?", "''''", "-n", "a\\nb"] {
            let script = format!("printf %s {}", shell_quote(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
