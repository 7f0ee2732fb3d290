//! What a signature binds: a change of any one byte is another signature, and what is said to be the same has the same.
//! The second half keeps the first honest: a canonical form that held random bytes would pass it too.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use sigv4::{CanonicalRequest, ChunkSigner, CredentialScope, signature, string_to_sign};

use crate::sha256;

#[derive(Clone, Debug)]
struct Signed {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    /// All of them signed.
    headers: Vec<(String, Vec<u8>)>,
    payload_hash: String,
    timestamp: String,
    scope: CredentialScope<'static>,
    key: [u8; 32],
}

prop_compose! {
    fn signed()(
        method in "[A-Z]{1,6}",
        path in "/[a-zA-Z0-9._~%/-]{0,20}",
        query in prop::collection::vec((any::<String>(), any::<String>()), 0..4),
        headers in prop::collection::vec(("[a-z-]{1,4}", prop::collection::vec(b' '.., 0..12)), 0..5),
        payload in any::<Vec<u8>>(),
        timestamp in "[0-9]{8}T[0-9]{6}Z",
        (date, region) in ("[0-9]{8}", "[a-z0-9-]{1,9}"),
        key in any::<[u8; 32]>(),
    ) -> Signed {
        let scope = CredentialScope { date: date.into(), region: region.into(), service: "s3".into() };
        Signed { method, path, query, headers, payload_hash: sha256(payload), timestamp, scope, key }
    }
}

enum Place<'a> {
    Text(&'a mut String),
    Bytes(&'a mut Vec<u8>),
}

impl Place<'_> {
    /// Puts `with` in the place of one character or byte. Whether there was one, and another.
    fn change(self, at: Index, with: char) -> bool {
        match self {
            Self::Text(text) if !text.is_empty() => {
                let mut characters: Vec<char> = text.chars().collect();
                let old = std::mem::replace(at.get_mut(&mut characters), with);
                *text = characters.into_iter().collect();
                old != with
            }
            Self::Bytes(bytes) if !bytes.is_empty() => {
                let old = std::mem::replace(at.get_mut(bytes), with as u8);
                old != with as u8
            }
            _ => false,
        }
    }
}

impl Signed {
    fn with_canonical<T>(&self, then: impl FnOnce(&CanonicalRequest<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let mut signed_headers: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        signed_headers.sort_unstable();
        signed_headers.dedup();
        then(&CanonicalRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            signed_headers: &signed_headers,
            payload_hash: &self.payload_hash,
        })
    }

    fn canonical(&self) -> Vec<u8> {
        self.with_canonical(|request| request.canonical())
    }

    fn signature(&self) -> String {
        let hash = self.with_canonical(|request| request.hash());
        let to_sign = string_to_sign(&self.timestamp, &self.scope, &hash);
        signature(&self.key, &to_sign)
    }

    fn places(&mut self) -> Vec<Place<'_>> {
        let mut places = vec![
            Place::Text(&mut self.method),
            Place::Text(&mut self.path),
            Place::Text(&mut self.payload_hash),
            Place::Text(&mut self.timestamp),
            Place::Text(self.scope.date.to_mut()),
            Place::Text(self.scope.region.to_mut()),
            Place::Text(self.scope.service.to_mut()),
        ];
        for (name, value) in &mut self.query {
            places.extend([Place::Text(name), Place::Text(value)]);
        }
        for (name, value) in &mut self.headers {
            places.extend([Place::Text(name), Place::Bytes(value)]);
        }
        places
    }

    /// What two requests must share to be signed alike, in another way than the canonical form says it.
    fn meaning(&self) -> impl PartialEq + std::fmt::Debug {
        let mut query = self.query.clone();
        query.sort();
        let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, value) in &self.headers {
            let text = value
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>();
            let words = text.split(' ').filter(|word| !word.is_empty());
            let value = words.collect::<Vec<_>>().join(" ");
            headers.entry(name).or_default().push(value);
        }
        let headers: BTreeMap<String, String> = headers
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values.join(",")))
            .collect();
        (
            self.method.clone(),
            self.path.clone(),
            query,
            headers,
            self.payload_hash.clone(),
        )
    }
}

/// Requests of so few letters that two of them are often the same, or nearly so.
fn alike() -> impl Strategy<Value = Signed> {
    let text = || "[a&=]{0,1}";
    let query = prop::collection::vec((text(), text()), 0..3);
    let header = ("[ab]", "[a, ]{0,3}".prop_map(String::into_bytes));
    let headers = prop::collection::vec(header, 0..3);
    (signed(), "/a?", query, headers).prop_map(|(signed, path, query, headers)| Signed {
        method: "GET".to_owned(),
        path,
        query,
        headers,
        payload_hash: sha256(""),
        ..signed
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_changed_byte_changes_the_signature(
        original in signed(), place in any::<Index>(), at in any::<Index>(), with in b'!'..=b'~',
    ) {
        let mut changed = original.clone();
        let place = place.index(changed.places().len());
        prop_assume!(changed.places().remove(place).change(at, char::from(with)));
        prop_assert_ne!(original.signature(), changed.signature());
    }

    #[test]
    fn another_key_is_another_signature(original in signed(), at in any::<Index>(), flip in 1..=u8::MAX) {
        let mut changed = original.clone();
        *at.get_mut(&mut changed.key) ^= flip;
        prop_assert_ne!(original.signature(), changed.signature());
        prop_assert_eq!(original.signature(), original.clone().signature());
    }

    #[test]
    fn two_requests_are_signed_alike_only_if_they_mean_the_same(a in alike(), b in alike()) {
        prop_assert_eq!(a.meaning() == b.meaning(), a.canonical() == b.canonical());
    }

    #[test]
    fn the_order_of_parameters_and_of_different_headers_is_no_matter(
        (original, query) in signed().prop_flat_map(|signed| {
            let query = Just(signed.query.clone()).prop_shuffle();
            (Just(signed), query)
        }),
    ) {
        let mut other = Signed { query, ..original.clone() };
        other.headers.sort_by_key(|(name, _)| std::cmp::Reverse(name.clone()));
        prop_assert_eq!(original.signature(), other.signature());
    }

    /// The chain, spelled out: what the documentation says that each link signs.
    #[test]
    fn every_chunk_signs_the_one_before(
        seed in signed(), hashes in prop::collection::vec("[0-9a-f]{64}", 1..5), trailer in "[0-9a-f]{64}",
    ) {
        let Signed { key, timestamp, scope, .. } = &seed;
        let mut previous = seed.signature();
        let mut chain = ChunkSigner::new(*key, timestamp.clone(), scope.clone(), previous.clone());
        for hash in hashes {
            let to_sign = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{}\n{hash}", sigv4::EMPTY_SHA256
            );
            previous = signature(key, &to_sign);
            prop_assert_eq!(chain.next_chunk(&hash), previous.clone());
        }
        let to_sign = format!("AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n{previous}\n{trailer}");
        prop_assert_eq!(chain.trailer(&trailer), signature(key, &to_sign));
    }
}
