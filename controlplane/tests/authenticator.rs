//! A device that keeps passkeys, and the browser before it: what is asked of `navigator.credentials`, answered in JSON.
//! Each of its answers can be made wrong in one respect.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

#[derive(Clone)]
pub struct Authenticator {
    key: SigningKey,
    credential_id: Vec<u8>,
    user: String,
    /// What the next answer says. Most devices that synchronise passkeys say 0 for ever.
    pub counter: u32,
    /// Where the browser is.
    pub origin: String,
    /// Whether it has asked for a finger, a face or a PIN.
    pub verifies: bool,
}

impl Authenticator {
    pub fn at(origin: &str) -> Self {
        let seed = [Uuid::new_v4(), Uuid::new_v4()].map(|id| *id.as_bytes());
        Self {
            key: SigningKey::from_bytes(seed.concat().as_slice().try_into().unwrap()),
            credential_id: Uuid::new_v4().as_bytes().to_vec(),
            user: String::new(),
            counter: 1,
            origin: origin.to_owned(),
            verifies: true,
        }
    }

    /// `navigator.credentials.create`
    pub fn make(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
        self.user = options["user"]["id"].as_str().unwrap().to_owned();
        let mut data = self.data(&options["rp"]["id"], ATTESTED);
        self.counter += 1;
        data.extend([0; 16]);
        data.extend(
            u16::try_from(self.credential_id.len())
                .unwrap()
                .to_be_bytes(),
        );
        data.extend(&self.credential_id);
        // {1: OKP, 3: EdDSA, -1: Ed25519, -2: the key}, <https://www.rfc-editor.org/rfc/rfc8152#section-13.2>
        data.extend([0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20]);
        data.extend(self.key.verifying_key().as_bytes());
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap());
        attestation.extend(data);
        self.say(json!({
            "clientDataJSON": encode(&self.client_data("webauthn.create", &options)),
            "attestationObject": encode(&attestation),
            "transports": ["internal"],
        }))
    }

    /// `navigator.credentials.get`
    pub fn answer(&mut self, options: &str) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["userVerification"], "required");
        let data = self.data(&options["rpId"], 0);
        let client_data = self.client_data("webauthn.get", &options);
        let signed = [data.clone(), Sha256::digest(&client_data).to_vec()].concat();
        let signature = self.key.sign(&signed).to_bytes();
        self.counter += 1;
        self.say(json!({
            "clientDataJSON": encode(&client_data),
            "authenticatorData": encode(&data),
            "signature": encode(&signature),
            "userHandle": self.user,
        }))
    }

    fn data(&self, rp_id: &Value, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut data = Sha256::digest(rp_id.as_str().unwrap()).to_vec();
        data.push(flags | USER_PRESENT | verified);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let said = json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false,
        });
        said.to_string().into_bytes()
    }

    fn say(&self, response: Value) -> String {
        let id = encode(&self.credential_id);
        let said = json!({
            "id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {}, "response": response,
        });
        said.to_string()
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
