//! Names and secrets drawn at random; the generator comes in as a parameter.

use rand::{CryptoRng, RngExt};
use zeroize::Zeroizing;

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LEGIBLE: &[u8] = b"abcdefghjkmnpqrstuvwxyz123456789";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The public half of an access key: `VLT` and 17 upper-case letters or digits, 20 in all.
pub(crate) fn access_key_id(rng: &mut impl CryptoRng) -> String {
    let mut id = "VLT".to_owned();
    id.extend(draw(rng, UPPER, 17));
    id
}

/// The secret half: 40 letters or digits, 238 bits.
pub(crate) fn secret_access_key(rng: &mut impl CryptoRng) -> Zeroizing<String> {
    Zeroizing::new(draw(rng, MIXED, 40).collect())
}

/// A bearer token: 43 letters or digits, 256 bits.
pub(crate) fn token(rng: &mut impl CryptoRng) -> Zeroizing<String> {
    Zeroizing::new(draw(rng, MIXED, 43).collect())
}

/// Four groups of four from 32 signs that are not taken for each other, 80 bits: `k7mq-…`
pub(crate) fn recovery_code(rng: &mut impl CryptoRng) -> String {
    let groups: [String; 4] = std::array::from_fn(|_| draw(rng, LEGIBLE, 4).collect());
    groups.join("-")
}

fn draw<'a>(
    rng: &'a mut impl CryptoRng,
    alphabet: &'static [u8],
    count: usize,
) -> impl Iterator<Item = char> + 'a {
    (0..count).map(move |_| char::from(alphabet[rng.random_range(..alphabet.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn an_access_key_has_the_shape_that_clients_expect() {
        let mut rng = StdRng::seed_from_u64(1);
        let id = access_key_id(&mut rng);
        assert_eq!(id.len(), 20);
        assert!(id.starts_with("VLT"));
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        );
        let secret = secret_access_key(&mut rng);
        assert_eq!(secret.len(), 40);
        assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(access_key_id(&mut rng), id);
    }
}
