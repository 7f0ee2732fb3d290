//! What this node may use of tenants' quotas, and what it has promised to requests: sums, and nothing that waits. Every
//! change is an [`Entry`], and the entries in order make the ledger what it is, however often they are read.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use wire::{Period, Resource};

/// One tenant's quota of one thing, as it is looked up for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The 32 hexadecimal digits, as a number.
    pub tenant: u128,
    pub resource: Resource,
    pub period: Period,
}

impl Key {
    pub fn read(quota: &wire::Quota) -> Option<Key> {
        Some(Key {
            tenant: number(&quota.tenant_id)?,
            resource: quota.resource,
            period: quota.period,
        })
    }

    pub fn written(&self) -> wire::Quota {
        wire::Quota {
            tenant_id: format!("{:032x}", self.tenant),
            resource: self.resource,
            period: self.period,
        }
    }
}

/// An id of 32 hexadecimal digits as a number.
pub fn number(id: &str) -> Option<u128> {
    // The standard library takes a sign, too.
    let digits = id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(id, 16).ok()).flatten()
}

/// What a request may come to use, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claim {
    pub tenant: u128,
    pub bucket: u128,
    /// Hours since 1970, UTC.
    pub hour: u32,
    pub bytes: u64,
    pub objects: u64,
    pub egress: u64,
    /// The month of `egress`.
    pub period: Period,
    /// The upload of which it is a part, or which it ends; 0: none.
    pub upload: u64,
    pub leased: Leased,
}

/// What the tenant has a quota of: the rest of a claim is taken from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leased {
    pub bytes: bool,
    pub objects: bool,
    pub egress: bool,
}

impl Claim {
    pub fn parts(&self) -> impl Iterator<Item = (Key, u64)> + use<> {
        let key = |resource, period| Key {
            tenant: self.tenant,
            resource,
            period,
        };
        let leased = self.leased;
        [
            (leased.bytes, key(Resource::StoredBytes, 0), self.bytes),
            (leased.objects, key(Resource::Objects, 0), self.objects),
            (
                leased.egress,
                key(Resource::EgressBytes, self.period),
                self.egress,
            ),
        ]
        .into_iter()
        .filter(|(leased, _, amount)| *leased && *amount > 0)
        .map(|(_, key, amount)| (key, amount))
    }
}

/// What happened to the ledger. `id`s count up; an id that is not above the last one was heard already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A ledger begins, and what was before it is void.
    Opened { ledger: u128 },
    /// All that this ledger was ever granted.
    Granted { ledger: u128, key: Key, total: u64 },
    /// Before anything of the request goes to an engine.
    Reserved { ledger: u128, id: u64, claim: Claim },
    /// The request is over, and what it claimed is taken. `kept`: nobody knows whether it was stored or sent, so that all
    /// of it counts as used; otherwise what it used stands in the request's own entry.
    Settled {
        ledger: u128,
        id: u64,
        claim: Claim,
        kept: bool,
    },
    /// Taken as well, and used by nobody.
    Returned {
        ledger: u128,
        id: u64,
        key: Key,
        amount: u64,
    },
}

/// What of a claim is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    pub key: Key,
    /// What the request needs in all.
    pub need: u64,
    /// What of it is missing.
    pub want: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Account {
    granted: u64,
    /// Reserved or given back, ever. Not more than granted.
    taken: u64,
    /// What was last granted at once: a sign of how much there is.
    step: u64,
}

impl Account {
    fn balance(&self) -> u64 {
        self.granted.saturating_sub(self.taken)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// 0: none was begun.
    id: u128,
    last: u64,
    #[serde(with = "pairs")]
    accounts: HashMap<Key, Account>,
    #[serde(with = "pairs")]
    open: HashMap<u64, Claim>,
}

impl Ledger {
    pub fn id(&self) -> u128 {
        self.id
    }

    /// As the control plane knows it.
    pub fn name(&self) -> String {
        name(self.id)
    }

    pub fn balance(&self, key: &Key) -> u64 {
        self.accounts.get(key).map_or(0, Account::balance)
    }

    #[cfg(test)]
    pub fn knows(&self, key: &Key) -> bool {
        self.accounts.contains_key(key)
    }

    /// Whether more should be asked for before it is needed.
    pub fn is_low(&self, key: &Key) -> bool {
        self.accounts
            .get(key)
            .is_none_or(|account| account.balance() < account.step.div_ceil(2))
    }

    /// The entry that promises the claim to a request, or the first thing of which there is not enough.
    pub fn reserve(&self, claim: Claim) -> Result<Entry, Lack> {
        for (key, need) in claim.parts() {
            let balance = self.balance(&key);
            if balance < need {
                let want = need - balance;
                return Err(Lack { key, need, want });
            }
        }
        Ok(Entry::Reserved {
            ledger: self.id,
            id: self.last + 1,
            claim,
        })
    }

    /// What a request was promised that is not over.
    pub fn claim(&self, id: u64) -> Option<Claim> {
        self.open.get(&id).copied()
    }

    pub fn settle(&self, id: u64, kept: bool) -> Option<Entry> {
        let claim = *self.open.get(&id)?;
        Some(Entry::Settled {
            ledger: self.id,
            id,
            claim,
            kept,
        })
    }

    /// `None`: it is known already, or meant for another ledger.
    pub fn grant(&self, ledger: &str, key: Key, total: u64) -> Option<Entry> {
        let before = self.accounts.get(&key).map_or(0, |account| account.granted);
        (ledger == self.name() && total > before).then_some(Entry::Granted {
            ledger: self.id,
            key,
            total,
        })
    }

    /// Of what there is something left.
    pub fn with_balance(&self) -> Vec<Key> {
        let keys = self.accounts.keys().copied();
        keys.filter(|key| self.balance(key) > 0).collect()
    }

    /// `None`: there is nothing to give back.
    pub fn give_back(&self, key: Key) -> Option<Entry> {
        let amount = self.balance(&key);
        (amount > 0).then_some(Entry::Returned {
            ledger: self.id,
            id: self.last + 1,
            key,
            amount,
        })
    }

    /// What the process before this one promised and did not live to settle: it may have been stored.
    pub fn abandoned(&self) -> Vec<Entry> {
        let mut ids: Vec<u64> = self.open.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter()
            .filter_map(|id| self.settle(id, true))
            .collect()
    }

    /// Takes an entry in; one that was taken in before changes nothing.
    pub fn apply(&mut self, entry: &Entry) {
        match *entry {
            Entry::Opened { ledger } if ledger != self.id => {
                *self = Ledger {
                    id: ledger,
                    ..Ledger::default()
                };
            }
            Entry::Granted { ledger, key, total } if ledger == self.id => {
                let account = self.accounts.entry(key).or_default();
                if total > account.granted {
                    account.step = total - account.granted;
                    account.granted = total;
                }
            }
            Entry::Reserved { ledger, id, claim } if self.is_new(ledger, id) => {
                self.last = id;
                for (key, amount) in claim.parts() {
                    self.take(key, amount);
                }
                self.open.insert(id, claim);
            }
            Entry::Settled { ledger, id, .. } if ledger == self.id => {
                self.open.remove(&id);
            }
            Entry::Returned {
                ledger,
                id,
                key,
                amount,
            } if self.is_new(ledger, id) => {
                self.last = id;
                self.take(key, amount);
            }
            _ => {}
        }
    }

    fn is_new(&self, ledger: u128, id: u64) -> bool {
        ledger == self.id && id > self.last
    }

    fn take(&mut self, key: Key, amount: u64) {
        let account = self.accounts.entry(key).or_default();
        account.taken = account.taken.saturating_add(amount);
    }

    /// Forgets months that are over; nothing can be asked of them any more.
    pub fn forget_before(&mut self, period: Period) {
        let claims = &self.open;
        let over = |key: &Key| {
            key.resource == Resource::EgressBytes
                && key.period < period
                && !claims.values().any(|claim| claim.period == key.period)
        };
        self.accounts.retain(|key, _| !over(key));
    }
}

/// A ledger's number as it is said.
pub fn name(ledger: u128) -> String {
    format!("{ledger:032x}")
}

/// Maps whose keys are no text, as lists of pairs.
mod pairs {
    use std::collections::HashMap;
    use std::hash::Hash;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &HashMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, D, K, V>(deserializer: D) -> Result<HashMap<K, V>, D::Error>
    where
        D: Deserializer<'de>,
        K: Deserialize<'de> + Hash + Eq,
        V: Deserialize<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
