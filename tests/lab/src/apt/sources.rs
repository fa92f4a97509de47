//! Sources of packages: the machine's own, in either of apt's formats, and those the lab derives.

use std::fs;
use std::path::PathBuf;

/// The release whose kernels the lab uses.
const RELEASE: &str = "bookworm";

/// Its newer packages.
pub(crate) const BACKPORTS: &str = "bookworm-backports";

/// Its updates that cannot wait for the next point release.
const SECURITY: &str = "bookworm-security";

/// Debian's own address for whoever has no mirror, as its installer takes it.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// The keys of the archive, from the package debian-archive-keyring, on Ubuntu too.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of one archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    uri: String,
    suite: String,
    components: String,
    /// A path, or a key in full.
    signed_by: Option<String>,
}

impl Source {
    pub(super) fn is_signed_by(&self, keyring: &str) -> bool {
        self.signed_by.as_deref() == Some(keyring)
    }
}

/// Everything in the machine's own sources.
pub(super) fn configured() -> Vec<Source> {
    let parts =
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = parts.collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if file.extension().is_some_and(|extension| extension == "sources") {
            parse_deb822(&text)
        } else {
            parse_lines(&text)
        }
    };
    files.into_iter().flat_map(read).collect()
}

/// The suites the lab needs: the release, its security updates and its backports, from the mirrors
/// that the machine uses for its own release. A newer Debian keeps its own suites besides. A machine that
/// is not Debian takes them from the mirror that is named, else from Debian itself.
pub(super) fn derive(configured: &[Source], mirror: Option<&str>) -> Vec<Source> {
    let own = if mirror.is_none() { beside_own(configured) } else { None };
    own.unwrap_or_else(|| {
        let suites = [RELEASE, BACKPORTS];
        let source = |suite: &str| Source {
            uri: mirror.unwrap_or(DEFAULT_MIRROR).to_owned(),
            suite: suite.to_owned(),
            components: "main".into(),
            signed_by: Some(KEYRING.into()),
        };
        suites.map(source).into()
    })
}

/// The suites from where the machine has its own; `None` where that is no Debian.
fn beside_own(configured: &[Source]) -> Option<Vec<Source>> {
    let debian = |source: &&Source| has_main(source) && source.uri.trim_end_matches('/').ends_with("/debian");
    let security = |source: &&Source| has_main(source) && source.suite.contains("-security");
    let by_uri = configured.iter().find(debian);
    // An archive whose address says nothing still carries backports or updates beside its release.
    let by_suite = || configured.iter().find(|source| has_main(source) && source.suite == RELEASE);
    let main = by_uri.or_else(by_suite)?;
    let mut sources: Vec<Source> =
        configured.iter().filter(|s| has_main(s) && s.signed_by == main.signed_by).cloned().collect();
    let security = configured.iter().find(security).map(|source| (source, SECURITY));
    for (like, suite) in [(main, RELEASE), (main, BACKPORTS)].into_iter().chain(security) {
        if !sources.iter().any(|source| source.suite == suite) {
            sources.push(Source { suite: suite.to_owned(), components: "main".into(), ..like.clone() });
        }
    }
    Some(sources)
}

fn has_main(source: &Source) -> bool {
    source.components.split_whitespace().any(|component| component == "main")
        && !source.uri.starts_with("cdrom:")
}

pub(super) fn render(sources: &[Source]) -> String {
    let stanza = |Source { uri, suite, components, signed_by }: &Source| {
        let signed = signed_by.as_ref().map_or(String::new(), |key| {
            format!("Signed-By:{}{key}\n", if key.starts_with('\n') { "" } else { " " })
        });
        format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}\n{signed}\n")
    };
    sources.iter().map(stanza).collect()
}

/// The format of sources.list: one suite a line, options in brackets.
fn parse_lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    let signed_by =
        options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(String::from);
    Some(Source { uri, suite, components: words.collect::<Vec<_>>().join(" "), signed_by })
}

/// The format of .sources files: stanzas of fields, each able to hold several values.
fn parse_deb822(text: &str) -> Vec<Source> {
    let without_comments: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    without_comments.split("\n\n").flat_map(parse_stanza).collect()
}

fn parse_stanza(stanza: &str) -> Vec<Source> {
    let field = |name: &str| field(stanza, name);
    let values =
        |name: &str| field(name).unwrap_or_default().split_whitespace().map(String::from).collect::<Vec<_>>();
    if !values("Types").iter().any(|kind| kind == "deb")
        || values("Enabled").first().is_some_and(|v| v == "no")
    {
        return Vec::new();
    }
    let components = values("Components").join(" ");
    let mut sources = Vec::new();
    for uri in values("URIs") {
        for suite in values("Suites") {
            sources.push(Source {
                uri: uri.clone(),
                suite,
                components: components.clone(),
                signed_by: field("Signed-By"),
            });
        }
    }
    sources
}

/// A field's value; lines that begin with a space go on from the one before.
fn field(stanza: &str, name: &str) -> Option<String> {
    let mut lines = stanza
        .lines()
        .skip_while(|line| line.split_once(':').is_none_or(|(key, _)| !key.eq_ignore_ascii_case(name)));
    let first = lines.next()?.split_once(':')?.1.trim().to_owned();
    let more = lines.take_while(|line| line.starts_with([' ', '\t'])).map(|line| format!("\n{line}"));
    Some(first + &more.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str = "\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /keys/debian.gpg

Types: deb
Enabled: no
URIs: http://elsewhere.example/debian
Suites: sid
Components: main
";

    fn suites(sources: &[Source]) -> Vec<String> {
        sources.iter().map(|source| format!("{} {}", source.uri, source.suite)).collect()
    }

    #[test]
    fn backports_come_from_the_mirror_the_machine_uses() {
        let derived = derive(&parse_deb822(BOOKWORM), None);
        assert_eq!(
            suites(&derived),
            [
                "http://mirror.example/debian bookworm",
                "http://mirror.example/debian bookworm-updates",
                "http://mirror.example/debian-security bookworm-security",
                "http://mirror.example/debian bookworm-backports",
            ]
        );
        assert!(derived.iter().all(|source| source.signed_by.as_deref() == Some("/keys/debian.gpg")));
    }

    #[test]
    fn a_newer_debian_keeps_its_suites_and_gets_the_older_release_besides() {
        let lines = "deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian/ trixie main contrib # own\n\
                     deb-src https://m.example/debian/ trixie main\n\
                     deb [signed-by=/k.gpg] https://m.example/debian-security trixie-security main\n\
                     deb [signed-by=/other.gpg] https://vendor.example/apt stable main\n";
        let derived = derive(&parse_lines(lines), None);
        assert_eq!(
            suites(&derived),
            [
                "https://m.example/debian/ trixie",
                "https://m.example/debian-security trixie-security",
                "https://m.example/debian/ bookworm",
                "https://m.example/debian/ bookworm-backports",
                "https://m.example/debian-security bookworm-security",
            ]
        );
    }

    #[test]
    fn a_machine_that_is_not_debian_takes_debians_own_mirror_or_the_one_that_is_named() {
        let ubuntu = parse_lines("deb http://archive.example/ubuntu noble main universe\n");
        for (named, uri) in
            [(None, DEFAULT_MIRROR), (Some("http://m.example/debian"), "http://m.example/debian")]
        {
            let derived = derive(&ubuntu, named);
            assert_eq!(suites(&derived), [format!("{uri} bookworm"), format!("{uri} bookworm-backports")]);
            assert!(derived.iter().all(|source| source.is_signed_by(KEYRING)));
        }
    }

    #[test]
    fn what_is_rendered_parses_back_with_a_key_in_full_too() {
        let key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc".to_owned();
        let source = |signed_by| Source {
            uri: "http://m/debian".into(),
            suite: "s".into(),
            components: "main".into(),
            signed_by,
        };
        let sources = [source(Some(key)), source(Some("/k.gpg".into())), source(None)];
        assert_eq!(parse_deb822(&render(&sources)), sources);
    }
}
