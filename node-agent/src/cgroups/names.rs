//! How runtimes name a container's directory.

use super::CgroupError;

/// What stands before the id in the names of systemd's scopes: containerd, CRI-O, Docker, Podman.
const SCOPES: [&str; 4] = ["cri-containerd-", "crio-", "docker-", "libpod-"];

/// The id in `containerd://id`, `cri-o://id`, `docker://id`, or bare.
pub(super) fn container_id(text: &str) -> Result<&str, CgroupError> {
    let id = text.split_once("://").map_or(text, |(_, id)| id);
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && (12..=128).contains(&id.len()) { Ok(id) } else { Err(CgroupError::NotAnId(text.into())) }
}

/// The id that a directory's name carries: `<id>` (cgroupfs), `<runtime>-<id>.scope` (systemd), or
/// `<slice>:<runtime>:<id>` (containerd on cgroupfs with a path meant for systemd). A name that carries none, such as
/// a slice's, gives something that is no container's id, or nothing.
pub(super) fn id_in(name: &str) -> Option<&str> {
    if let Some(scope) = name.strip_suffix(".scope") {
        let id = SCOPES.iter().find_map(|prefix| scope.strip_prefix(prefix));
        // CRI-O's monitor runs beside its container, in a scope of its own that carries the same id.
        return id.filter(|id| !id.starts_with("conmon-"));
    }
    name.rsplit_once(':').map_or(Some(name), |(_, id)| Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3d2ba1c0ffee4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6";

    #[test]
    fn every_runtimes_spelling_is_read() {
        for name in [
            ID.to_owned(),
            format!("cri-containerd-{ID}.scope"),
            format!("crio-{ID}.scope"),
            format!("docker-{ID}.scope"),
            format!("libpod-{ID}.scope"),
            format!("kubepods-besteffort-pod1.slice:cri-containerd:{ID}"),
        ] {
            assert_eq!(id_in(&name), Some(ID), "{name}");
        }
    }

    #[test]
    fn a_monitor_and_a_foreign_scope_are_no_containers() {
        assert_eq!(id_in(&format!("crio-conmon-{ID}.scope")), None);
        assert_eq!(id_in("init.scope"), None);
        assert_eq!(id_in(&format!("session-{ID}.scope")), None);
    }

    #[test]
    fn ids_are_read_with_and_without_their_runtime_and_are_never_paths() {
        for text in [ID.to_owned(), format!("containerd://{ID}"), format!("cri-o://{ID}")] {
            assert_eq!(container_id(&text).unwrap(), ID);
        }
        for text in ["", "containerd://", "docker://../../etc/passwd", "short", "a/b/c/d/e/f/g/h"] {
            assert!(matches!(container_id(text), Err(CgroupError::NotAnId(_))), "{text}");
        }
    }
}
