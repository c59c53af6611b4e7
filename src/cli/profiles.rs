//! `profiles`: list, check, sample, schema.

use base::table;
use serde_json::json;

use super::{
    args::{ProfilesAction, ProfilesArgs},
    common::{Context, out},
};
use crate::exit::Exit;

/// `profiles [list|check|sample|schema]`
pub fn run(context: &Context, args: &ProfilesArgs) -> anyhow::Result<Exit> {
    match &args.action {
        None | Some(ProfilesAction::List) => {
            let profiles = profile::list();
            let mut table = table::new(&["profile", "system", "about"], &[]);
            for p in &profiles {
                table.add_row([&p.name, &p.system, &p.about]);
            }
            context.print(&table.to_string(), &profiles)?;
        }
        Some(ProfilesAction::Check { profile }) => {
            let loaded = context.profile(profile)?;
            let scenarios: Vec<_> = loaded.profile.scenarios.keys().cloned().collect();
            let text = format!(
                "{} is valid: system {}, scenarios {}",
                loaded.source,
                loaded.profile.system.name(),
                scenarios.join(", ")
            );
            let value = json!({"name": loaded.name, "source": loaded.source.to_string(), "valid": true, "warnings": loaded.warnings, "profile": loaded.profile});
            context.print(&text, &value)?;
        }
        Some(ProfilesAction::Sample) => out(profile::sample())?,
        Some(ProfilesAction::Schema) => out(&serde_json::to_string_pretty(&profile::schema())?)?,
    }
    Ok(Exit::Done)
}
