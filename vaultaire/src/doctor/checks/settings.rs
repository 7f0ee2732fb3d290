//! Settings, the files that hold secrets, and the master key.

use super::super::facts::{Facts, FileState};
use super::{Outcome, failure, joined, ok, skipped, warning};

const LIST: &str = "vaultaire/settings.md lists every setting";

pub fn names(facts: &Facts) -> Outcome {
    let unknown = &facts.unknown_settings;
    let shown = joined(unknown.iter().map(|one| match one.meant {
        Some(meant) => format!("{} is no setting: did you mean {meant}?", one.name),
        None => format!("{} is no setting", one.name),
    }));
    match unknown.iter().find_map(|one| Some((one, one.meant?))) {
        Some((one, meant)) => {
            let name = &one.name;
            failure(
                shown,
                format!("export {meant}=\"${name}\"; unset {name}   ({LIST})"),
            )
        }
        None if unknown.is_empty() => ok("every VAULTAIRE_ setting of this shell is one"),
        None => warning(shown, LIST),
    }
}

pub fn values(facts: &Facts) -> Outcome {
    let wrong = facts
        .settings
        .iter()
        .filter_map(|(part, read)| Some(format!("{part}: {}", read.as_ref().err()?)));
    let wrong = joined(wrong);
    let parts = facts.settings.iter().map(|(part, _)| (*part).to_owned());
    match wrong.is_empty() {
        _ if facts.settings.is_empty() => skipped("no settings of a plane are in this shell"),
        true => ok(format!("can be read: {}", joined(parts))),
        false => failure(wrong, LIST),
    }
}

pub fn secret_files(facts: &Facts) -> Outcome {
    let files = &facts.secret_files;
    let wrong = joined(files.iter().filter_map(|file| match &file.state {
        FileState::Wrong(why) => Some(format!("{}: {why}", file.path.display())),
        FileState::There(_) => None,
    }));
    if !wrong.is_empty() {
        return failure(
            wrong,
            "put the file back from a backup: docs/operate/backup.md",
        );
    }
    let open: Vec<_> = files
        .iter()
        .filter(|file| matches!(file.state, FileState::There(mode) if mode & 0o077 != 0))
        .map(|file| file.path.display().to_string())
        .collect();
    match (files.len(), open.is_empty()) {
        (0, _) => skipped("no secret is in a file"),
        (_, true) => ok("readable by their owner alone"),
        (_, false) => warning(
            format!(
                "other users than the owner may read or write {}",
                open.join(", ")
            ),
            format!("chmod 0600 {}", open.join(" ")),
        ),
    }
}

pub fn master_key(facts: &Facts) -> Outcome {
    match &facts.master_key {
        None => skipped("no master key is named here"),
        Some(Ok(())) => ok("it can be read, and is of the right length"),
        Some(Err(why)) => failure(
            why.clone(),
            "put the key back from where you keep its copy: docs/operate/keys.md",
        ),
    }
}

pub fn master_key_opens(facts: &Facts) -> Outcome {
    let Some(Ok(database)) = &facts.database else {
        return skipped("the database could not be asked");
    };
    match database.master_key_opens {
        None => skipped("there is no key to try, or nothing was sealed yet"),
        Some(true) => ok("it opens what is sealed in the database"),
        Some(false) => failure(
            "this master key does not open what is sealed in this database",
            "use the key that belongs to this database: docs/operate/keys.md",
        ),
    }
}

pub fn master_key_rotation(facts: &Facts) -> Outcome {
    let Some(Ok(database)) = &facts.database else {
        return skipped("the database could not be asked");
    };
    let Some(keys) = &database.master_keys else {
        return skipped("no control plane of this release was started on this database yet");
    };
    let version = keys.seals_under;
    if keys.lacking > 0 {
        return failure(
            format!(
                "{} of {} control planes lack version {version} of the master key, under which secrets are sealed",
                keys.lacking, keys.control_planes
            ),
            "put that version into their key files: docs/operate/keys.md",
        );
    }
    match (keys.values_behind, keys.unfinished.as_slice()) {
        (0, []) => ok(format!("everything is sealed under version {version}")),
        (0, _) => warning(
            format!(
                "everything is sealed under version {version}, and the one before is not dropped"
            ),
            "vaultaire master-key finish",
        ),
        (behind, _) => warning(
            format!("{behind} values are sealed under another version than {version}"),
            "control planes seal them anew by themselves; if the number does not fall, their log says which do not open: vaultaire master-key status",
        ),
    }
}
