//! Whether an answer came from a cache, by its header fields, and figures of those that did and those that did not.
//!
//! Two fields say so: `X-Cache`, which is nobody's standard and everybody's habit (`HIT`, `TCP_MEM_HIT`, `Miss from
//! cloudfront`, `MISS, HIT` of several caches), and `Cache-Status` of RFC 9211 (`Edge; hit; ttl=30, Origin; fwd=miss`).
//! Where several caches speak, one that had the answer is enough: the server behind them was not asked.

use record::goal::Trend;

/// What an answer says of the caches on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheAnswer {
    /// None of them had it.
    Miss,
    /// One of them had it.
    Hit,
}

impl CacheAnswer {
    /// Both, the better one first.
    pub const ALL: [Self; 2] = [Self::Hit, Self::Miss];

    /// Its name in tags, files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.name() == name)
    }
}

/// What the header field `name` says, if it speaks of a cache. Allocates nothing.
pub(super) fn of_field(name: &str, value: &[u8]) -> Option<CacheAnswer> {
    // Lengths first: this is asked of every field of every answer.
    match name.len() {
        7 if name.eq_ignore_ascii_case("x-cache") => of_x_cache(value),
        12 if name.eq_ignore_ascii_case("cache-status") => of_cache_status(value),
        _ => None,
    }
}

/// The best word of the list's entries. Only the first word of each counts: behind it stands whose word it is.
fn of_x_cache(value: &[u8]) -> Option<CacheAnswer> {
    value.split(|b| *b == b',').filter_map(|entry| of_word(first_word(entry))).max()
}

fn first_word(text: &[u8]) -> &[u8] {
    text.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

/// `hit-for-miss` and `hit-for-pass` are how caches remember that they must not keep an answer.
fn of_word(word: &[u8]) -> Option<CacheAnswer> {
    let has = |part: &[u8]| word.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part));
    if has(b"miss") || (has(b"hit") && has(b"pass")) {
        Some(CacheAnswer::Miss)
    } else {
        has(b"hit").then_some(CacheAnswer::Hit)
    }
}

/// A list of caches, each with parameters behind `;`. Strings in quotes may hold any sign.
fn of_cache_status(value: &[u8]) -> Option<CacheAnswer> {
    let mut best = None;
    let mut rest = value;
    // What stands before the first `;` of an entry is the cache's name.
    let mut is_name = true;
    while !rest.is_empty() {
        let end = end_of_item(rest);
        let (item, behind) = rest.split_at(end);
        if !is_name {
            best = best.max(of_parameter(item.trim_ascii()));
        }
        is_name = behind.first() == Some(&b',');
        rest = behind.get(1..).unwrap_or_default();
    }
    best
}

/// Where the next `;` or `,` outside of quotes is.
fn end_of_item(text: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let ends = |byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => return true,
            _ => {}
        }
        false
    };
    text.iter().position(ends).unwrap_or(text.len())
}

/// `hit` (a Boolean, so `hit=?0` is none) or `fwd=…`. Keys are lower case by the standard.
fn of_parameter(item: &[u8]) -> Option<CacheAnswer> {
    match item {
        b"hit" | b"hit=?1" => Some(CacheAnswer::Hit),
        _ if item.starts_with(b"fwd=") => Some(CacheAnswer::Miss),
        _ => None,
    }
}

/// Something of answers that came from a cache, and of those that are known not to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ByCache<T> {
    pub hit: T,
    pub miss: T,
}

impl<T> ByCache<T> {
    pub fn of(&self, answer: CacheAnswer) -> &T {
        match answer {
            CacheAnswer::Hit => &self.hit,
            CacheAnswer::Miss => &self.miss,
        }
    }

    pub fn of_mut(&mut self, answer: CacheAnswer) -> &mut T {
        match answer {
            CacheAnswer::Hit => &mut self.hit,
            CacheAnswer::Miss => &mut self.miss,
        }
    }
}

impl ByCache<Trend> {
    pub fn merge(&mut self, other: &Self) {
        self.hit.merge(&other.hit);
        self.miss.merge(&other.miss);
    }

    pub fn clear(&mut self) {
        self.hit.clear();
        self.miss.clear();
    }

    /// Answers.
    pub fn counts(&self) -> ByCache<u64> {
        ByCache { hit: self.hit.count(), miss: self.miss.count() }
    }
}

impl ByCache<u64> {
    pub fn add(&mut self, other: Self) {
        self.hit += other.hit;
        self.miss += other.miss;
    }

    pub fn all(&self) -> u64 {
        self.hit + self.miss
    }
}

#[cfg(test)]
mod tests {
    use CacheAnswer::{Hit, Miss};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn x_cache_as_caches_write_it() {
        for (value, said) in [
            ("HIT", Some(Hit)),
            ("MISS", Some(Miss)),
            ("miss", Some(Miss)),
            ("TCP_HIT", Some(Hit)),
            ("TCP_MEM_HIT from a23-1.deploy (AkamaiGHost/11)", Some(Hit)),
            ("TCP_REFRESH_MISS", Some(Miss)),
            ("Hit from cloudfront", Some(Hit)),
            ("RefreshHit from cloudfront", Some(Hit)),
            ("Miss from cloudfront", Some(Miss)),
            ("MISS, HIT", Some(Hit)),
            ("HIT,MISS", Some(Hit)),
            ("MISS, MISS", Some(Miss)),
            (" , HIT ,", Some(Hit)),
            ("hit-for-pass", Some(Miss)),
            ("hit-for-miss", Some(Miss)),
            // Whose word it is does not count.
            ("MISS from hit-1.example", Some(Miss)),
            ("Error from hitcache", None),
            ("PASS", None),
            ("BYPASS", None),
            ("", None),
            (",", None),
            ("hi t", None),
        ] {
            assert_eq!(of_field("X-Cache", value.as_bytes()), said, "{value:?}");
        }
    }

    #[test]
    fn cache_status_of_the_standard() {
        for (value, said) in [
            ("ExampleCache; hit", Some(Hit)),
            ("ExampleCache;hit;ttl=376", Some(Hit)),
            ("ExampleCache; hit=?1", Some(Hit)),
            ("ExampleCache; hit=?0", None),
            ("ExampleCache; fwd=uri-miss; stored; ttl=30", Some(Miss)),
            ("OriginCache; hit; ttl=1100, \"CDN Company Here\"; fwd=uri-miss", Some(Hit)),
            ("OriginCache; fwd=miss, Edge; fwd=stale; fwd-status=304", Some(Miss)),
            ("\"a, b; hit\"; fwd=miss", Some(Miss)),
            ("\"a \\\"; hit, \"; ttl=1", None),
            ("A; detail=\"x; hit\"; fwd=bypass", Some(Miss)),
            ("A; detail=\"never closed; hit", None),
            // A name is no parameter, and a longer parameter another one.
            ("hit", None),
            ("A; ttl=1, hit; ttl=2", None),
            ("A; hits; fwd-status=200", None),
            ("", None),
            (";;,,;", None),
        ] {
            assert_eq!(of_field("cache-status", value.as_bytes()), said, "{value:?}");
        }
    }

    #[test]
    fn other_fields_say_nothing() {
        for name in ["", "X-Cache-Hits", "Y-Cache", "Cache-Control", "X-Cache-Status", "cache-statuS1"] {
            assert_eq!(of_field(name, b"HIT"), None, "{name}");
        }
        assert_eq!(of_field("x-CACHE", b"HIT"), Some(Hit));
        assert_eq!(of_field("CACHE-status", b"a;hit"), Some(Hit));
    }

    proptest! {
        #[test]
        fn no_value_panics(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = (of_x_cache(&value), of_cache_status(&value));
        }

        #[test]
        fn a_list_says_hit_if_any_of_it_does(hits in prop::collection::vec(any::<bool>(), 1..6), gap in "[ \t]{0,2}") {
            let any = if hits.contains(&true) { Hit } else { Miss };
            let join = |words: [&str; 2]| {
                let entries: Vec<_> = hits.iter().map(|hit| words[usize::from(*hit)]).collect();
                entries.join(&format!("{gap},{gap}"))
            };
            prop_assert_eq!(of_x_cache(join(["TCP_MISS by a", "Hit by b"]).as_bytes()), Some(any));
            let status = join(["\"x, ;hit\" ; fwd=miss;stored", "Edge ;ttl=3 ; hit"]);
            prop_assert_eq!(of_cache_status(status.as_bytes()), Some(any));
        }
    }
}
