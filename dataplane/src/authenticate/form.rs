//! Who signed a form's policy. What the policy allows is `form::Policy`'s to say.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html>

use sigv4::ALGORITHM;

use super::*;
use crate::form::Fields;

/// The canonical names, as S3 asks for them.
const FIELDS: [&str; 4] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Signature",
];

/// One way of authenticating a request: a form brings its own.
pub fn refuse_other_mechanisms(request: &S3Request) -> Result<(), S3Error> {
    match request.headers.contains_key("authorization") || query::is_signed(request) {
        true => Err(S3Error::with(
            Code::InvalidArgument,
            "Only one auth mechanism allowed; the fields of the form are the one.",
        )),
        false => Ok(()),
    }
}

/// The signature is that of the policy as it was sent: whatever it says was not changed on the way.
pub fn authenticate_form(
    fields: &Fields,
    tenants: &Tenants,
    shared: &Shared,
    now: DateTime<Utc>,
) -> Result<Identity, S3Error> {
    if fields.get("AWSAccessKeyId").is_some() || fields.get("Signature").is_some() {
        return Err(unsupported());
    }
    let signed = FIELDS.iter().any(|name| fields.get(name).is_some());
    let policy = fields
        .get("policy")
        .filter(|_| signed)
        .ok_or(Code::AccessDenied)?;
    let claim = claim(fields)?;
    let Holder {
        tenant,
        signing_key,
    } = holder(&claim, tenants, shared, now)?;
    if !sigv4::signatures_equal(&sigv4::signature(&signing_key, policy), claim.signature) {
        let whose = || Whose::new(&tenant, claim.credential.access_key_id, None);
        return Err(S3Error::new(Code::SignatureDoesNotMatch)
            .by(Rule::Signature)
            .attributed(whose)
            .detail("AWSAccessKeyId", claim.credential.access_key_id)
            .detail("StringToSign", policy)
            .detail("SignatureProvided", claim.signature));
    }
    Ok(Identity {
        access_key_id: claim.credential.access_key_id.into(),
        tenant,
        payload: PayloadHash::Unsigned,
        chunks: None,
    })
}

fn claim(fields: &Fields) -> Result<Claim<'_>, S3Error> {
    let argument = |name: &'static str, value: &str, message: String| {
        S3Error::with(Code::InvalidArgument, message)
            .detail("ArgumentName", name)
            .detail("ArgumentValue", value)
    };
    let mut values = [""; 4];
    for (value, name) in values.iter_mut().zip(FIELDS) {
        *value = fields.get(name).ok_or_else(|| {
            argument(name, "", format!("Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."))
        })?;
    }
    let [algorithm, credential, timestamp, signature] = values;
    let [algorithm_name, credential_name, _, signature_name] = FIELDS;
    if algorithm != ALGORITHM {
        let message = format!("X-Amz-Algorithm only supports \"{ALGORITHM}\".");
        return Err(argument(algorithm_name, algorithm, message));
    }
    Ok(Claim {
        credential: Credential::parse(credential)
            .map_err(|error| argument(credential_name, credential, format!("{error}.")))?,
        signed_headers: Vec::new(),
        signature: sigv4::parse_signature(signature)
            .map_err(|error| argument(signature_name, signature, format!("{error}.")))?,
        timestamp,
        payload: "UNSIGNED-PAYLOAD",
        // As long as a presigned URL: nodes know the keys of no earlier day. The policy may end sooner.
        expires: Some(TimeDelta::seconds(query::MAX_EXPIRES)),
        malformed: Code::InvalidArgument,
    })
}
