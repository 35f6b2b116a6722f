//! Path patterns: what they match, and what never does.

use super::*;

fn list(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

/// The rows of GitHub's cheat sheet, and the corner cases of each sign.
#[test]
fn patterns_match_as_github_documents() {
    for (pattern, fits, others) in [
        ("*", vec!["README.md", "server.rb"], vec!["docs/README.md"]),
        ("*.jsx?", vec!["page.js", "page.jsx"], vec!["page.jsxx", "a/page.js"]),
        ("**", vec!["all/the/files.md", "a"], vec![]),
        ("*.js", vec!["app.js"], vec!["js/app.js", "app.jsx"]),
        ("**.js", vec!["index.js", "js/index.js", "src/js/app.js"], vec!["index.ts"]),
        ("docs/*", vec!["docs/README.md"], vec!["docs/a/b.md", "docs", "other/docs/a"]),
        ("docs/**", vec!["docs/README.md", "docs/mona/octocat.txt"], vec!["docs", "docs2/a", "a/docs/b"]),
        ("docs/**/*.md", vec!["docs/README.md", "docs/mona/hello.md", "docs/a/md/f.md"], vec!["docs/a.txt"]),
        (
            "**/docs/**",
            vec!["docs/hello.md", "dir/docs/my.txt", "space/docs/plan/space.doc"],
            vec!["mydocs/a"],
        ),
        ("**/README.md", vec!["README.md", "js/README.md"], vec!["js/XREADME.md"]),
        ("**/*src/**", vec!["a/src/app.js", "my-src/code/js/app.js"], vec!["src.js"]),
        ("**/*-post.md", vec!["my-post.md", "path/their-post.md"], vec!["post.md"]),
        (
            "**/migrate-*.sql",
            vec!["migrate-10909.sql", "db/migrate-v1.0.sql"],
            vec!["db/sept/unmigrate-v1.sql"],
        ),
        ("v[12].[0-9]+.txt", vec!["v1.0.txt", "v2.100.txt"], vec!["v3.0.txt", "v1..txt"]),
        ("a\\*b", vec!["a*b"], vec!["axb"]),
        ("a[b", vec!["a[b"], vec!["ab"]),
        ("größe/*", vec!["größe/ä"], vec!["gr/ä"]),
    ] {
        for path in fits {
            assert!(is_match(&list(&[pattern]), path), "{pattern} fits {path}");
        }
        for path in others {
            assert!(!is_match(&list(&[pattern]), path), "{pattern} does not fit {path}");
        }
    }
}

#[test]
fn last_matching_pattern_decides() {
    let but = list(&["sub/**", "!sub/docs/**"]);
    assert!(is_match(&but, "sub/a.rs") && !is_match(&but, "sub/docs/a.md") && !is_match(&but, "other"));
    let again = list(&["sub/**", "!sub/docs/**", "sub/docs/api.md"]);
    assert!(is_match(&again, "sub/docs/api.md"));
    assert!(!is_match(&list(&["!sub/docs/**", "!x"]), "y"));
}

#[test]
fn submodule_matches_patterns_below_it() {
    for (patterns, expected) in [
        (vec!["libs/shared"], true),
        (vec!["libs/shared/**"], true),
        (vec!["libs/**/*.c"], true),
        (vec!["libs/shared/src/*.c"], true),
        (vec!["**/*.c"], true),
        (vec!["libs/shared/**", "!libs/shared/docs/**"], true),
        (vec!["libs/*"], true),
        (vec!["libs/other/**"], false),
        (vec!["*.c"], false),
        (vec!["app/**", "!libs/shared/**"], false),
    ] {
        assert_eq!(matches_below(&list(&patterns), "libs/shared"), expected, "{patterns:?}");
    }
}

#[test]
fn path_that_leaves_the_workspace_is_recognized() {
    for inside in ["", ".", "a", "a/../b", "./a//b/", "a/b/../..", "..a", "a/..b"] {
        assert!(!leaves_workspace(inside), "{inside}");
    }
    for outside in ["/", "/etc/passwd", "..", "../a", "a/../..", "./..", "a/b/../../../c"] {
        assert!(leaves_workspace(outside), "{outside}");
    }
}

/// Backtracking would take practically forever.
#[test]
fn matching_time_is_bounded() {
    let pattern = list(&[&"*a".repeat(200)]);
    assert!(!is_match(&pattern, &"a".repeat(4000).replace("aaaa", "aaab")));
}

#[test]
fn patterns_that_never_match_are_reported() {
    let node = crate::config::tree::parse("f.yml", "- /a\n- ./b\n- c/\n- ''\n- d/**\n").unwrap();
    let lines = |node| {
        problems("f.yml", "web", Some(node))
            .iter()
            .map(|p| p.location.as_ref().unwrap().line)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&node), [1, 2, 3, 4]);
    assert_eq!(lines(&crate::config::tree::parse("f.yml", "- '!a'\n- '!b'\n").unwrap()), [1]);
}

#[test]
fn pattern_that_never_matches_suggests_the_one_that_was_meant() {
    for (pattern, meant) in [
        ("/api/**", Some("api/**")),
        ("./api/**", Some("api/**")),
        ("api/", Some("api/**")),
        ("./", Some("**")),
        ("api\\**", Some("api/**")),
        ("api//src/**", Some("api/src/**")),
        (" api/**", Some("api/**")),
        ("!./docs/**", Some("!docs/**")),
        ("../shared/**", None),
        ("", None),
    ] {
        let fault = pattern_fault(pattern).unwrap_or_else(|| panic!("{pattern}"));
        let expected = meant.map(|meant| format!("Did you mean `{meant}`?")).unwrap_or_default();
        assert_eq!(fault.help, expected, "{pattern}");
    }
    for fine in ["api/**", "a\\*b/c/\\[x]", "**", "!docs/**", ".github/**", "Makefile"] {
        assert!(pattern_fault(fine).is_none(), "{fine}");
    }
}

#[test]
fn patterns_that_take_each_other_back_exclude_all() {
    assert!(
        excludes_all(&["api/**", "!api/**"]) && excludes_all(&["a", "b", "!**"]) && excludes_all(&["!a"])
    );
    assert!(!excludes_all(&["!api/**", "api/**"]) && !excludes_all(&["api/**", "!api/docs/**"]));
}

#[test]
fn paths_are_written_as_git_writes_them() {
    for (path, expected) in [
        ("nginx", "nginx"),
        ("./nginx/", "nginx"),
        (".", ""),
        ("php/../nginx", "nginx"),
        ("app/../docker/nginx/Dockerfile", "docker/nginx/Dockerfile"),
    ] {
        assert_eq!(to_git_path(path), expected, "{path}");
    }
}
