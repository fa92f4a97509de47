//! A small memory that forgets what was used least recently.

/// Values by key. Lookups walk the entries: there are few, and comparing keys is cheap next to what a value costs.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    /// The most recently used last.
    entries: Vec<(K, V)>,
    capacity: usize,
}

impl<K, V: Clone> Recent<K, V> {
    /// Holds `capacity` entries, one at least.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { entries: Vec::new(), capacity }
    }

    /// The value whose key `is_it` knows, which counts as a use.
    pub(crate) fn get(&mut self, is_it: impl Fn(&K) -> bool) -> Option<V> {
        let position = self.entries.iter().rposition(|(key, _)| is_it(key))?;
        self.entries[position..].rotate_left(1);
        self.entries.last().map(|(_, value)| value.clone())
    }

    /// Adds a value that [`Self::get`] did not find.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.len() >= self.capacity {
            self.entries.remove(0);
        }
        self.entries.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_is_forgotten_first() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        assert_eq!(recent.get(|key| *key == "a"), Some(1));
        recent.insert("c", 3);
        assert_eq!(recent.get(|key| *key == "b"), None);
        assert_eq!(recent.get(|key| *key == "a"), Some(1));
        assert_eq!(recent.get(|key| *key == "c"), Some(3));
        assert_eq!(recent.entries.len(), 2);
    }
}
