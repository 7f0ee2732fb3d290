//! Many tenants at once, for `make bench`: nothing else makes tenants like this. They are like others in all that nodes
//! are told, except that the engine knows nothing of their buckets.

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ids::{BucketId, TenantId};
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, access_keys, db, engine, random};

/// Written in one transaction.
const AT_ONCE: usize = 1000;

/// The first access key of a tenant that was made.
pub struct MadeTenant {
    pub tenant_id: TenantId,
    pub access_key_id: String,
    pub secret_access_key: Zeroizing<String>,
}

/// Makes so many tenants, each with so many access keys and with one or two buckets, in turn. Answers each of them.
pub async fn make_tenants(
    cp: &ControlPlane,
    tenants: usize,
    keys: usize,
) -> Result<Vec<MadeTenant>, Error> {
    let mut made = Vec::with_capacity(tenants);
    while made.len() < tenants {
        let count = AT_ONCE.min(tenants - made.len());
        made.extend(batch(cp, count, keys).await?);
    }
    Ok(made)
}

async fn batch(cp: &ControlPlane, count: usize, keys: usize) -> Result<Vec<MadeTenant>, Error> {
    let tenants: Vec<TenantId> = (0..count).map(|_| TenantId::random()).collect();
    let ids: Vec<Uuid> = tenants.iter().map(|id| id.as_uuid()).collect();
    let (mut made, mut key_ids, mut owners, mut sealed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for tenant in &tenants {
        for n in 0..keys {
            let (access_key_id, secret) = {
                let mut rng = rand::rng();
                (
                    random::access_key_id(&mut rng),
                    random::secret_access_key(&mut rng),
                )
            };
            let row = access_keys::seal_row(*tenant, &access_key_id);
            let master_key = cp.master_key();
            sealed.push(master_key.seal(Purpose::AccessKeySecret, &row, secret.as_bytes())?);
            owners.push(tenant.as_uuid());
            key_ids.push(access_key_id.clone());
            if n == 0 {
                made.push(MadeTenant {
                    tenant_id: *tenant,
                    access_key_id,
                    secret_access_key: secret,
                });
            }
        }
    }
    let buckets: Vec<(Uuid, String)> = ids
        .iter()
        .enumerate()
        .flat_map(|(i, id)| (0..=i % 2).map(move |n| (*id, format!("measured-{n}"))))
        .collect();
    let bucket_ids: Vec<Uuid> = buckets
        .iter()
        .map(|_| BucketId::random().as_uuid())
        .collect();
    let (bucket_owners, names): (Vec<Uuid>, Vec<String>) = buckets.into_iter().unzip();

    let mut tx = cp.begin_system().await?;
    let last = db::bulk::take_revisions(&mut tx, i64::try_from(count).unwrap_or(0)).await?;
    let revisions: Vec<i64> = (0..count)
        .filter_map(|n| Some(last - i64::try_from(n).ok()?))
        .collect();
    db::bulk::insert_tenants(&mut tx, &ids, &revisions).await?;
    db::bulk::insert_access_keys(&mut tx, &key_ids, &owners, &sealed).await?;
    let engine = engine::ENGINE_ID;
    db::bulk::insert_buckets(&mut tx, &bucket_ids, &bucket_owners, &names, engine).await?;
    tx.commit().await?;
    Ok(made)
}
