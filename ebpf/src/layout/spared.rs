//! Processes that are never injected: by their id, or by their name.
//!
//! A name holds for every process that bears it, from its first moment on: a restarted kubelet is spared before any agent
//! could have noticed it.

/// Size of a key in bytes.
pub const SIZE: usize = 16;

/// How many ids and names together.
pub const ENTRIES: u32 = 1024;

/// Where an id is in its key. The bytes before it are 0, which no name begins with.
pub const ID: usize = 8;

/// Bytes of a name that the kernel keeps (`TASK_COMM_LEN` less the NUL).
pub const NAME: usize = SIZE - 1;

/// The key of a process id, as the initial namespace has it.
#[must_use]
pub fn of_id(id: u32) -> [u8; SIZE] {
    let mut key = [0; SIZE];
    super::put(&mut key, ID, &id.to_le_bytes());
    key
}

/// The key of a name, cut to what the kernel keeps of it; absent where nothing is left.
#[must_use]
pub fn of_name(name: &str) -> Option<[u8; SIZE]> {
    let bytes = name.as_bytes();
    let bytes = bytes.get(..NAME).unwrap_or(bytes);
    let is_name = !bytes.is_empty() && !bytes.contains(&0);
    let mut key = [0; SIZE];
    super::put(&mut key, 0, bytes);
    is_name.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_cannot_be_taken_for_each_other() {
        assert_eq!(of_id(258), [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of_name("crio").unwrap(), *b"crio\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!([of_name(""), of_name("\0a")], [None, None]);
    }

    #[test]
    fn a_long_name_is_cut_as_the_kernel_cuts_it() {
        assert_eq!(of_name("containerd-shim-runc-v2"), of_name("containerd-shim"));
    }
}
