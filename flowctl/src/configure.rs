//! `config`: shows and changes the configuration.

use std::io::Write;

use anyhow::{Context, Result, bail};
use serde_norway::{Mapping, Value as Yaml};

use crate::cli::{Flag, FlagKind, setting_flags};
use crate::moments::parse_go_span;
use crate::settings::{Format, Settings, file_value, yaml_text};

/// Prints one setting, or all.
///
/// # Errors
/// There is no such setting.
pub(crate) fn get(settings: &Settings, operands: &[String], out: &mut dyn Write) -> Result<()> {
    let name = match operands {
        [] => return view(settings, out),
        [name] => name,
        many => bail!("invalid arguments: get requires exactly 0 or 1 argument: got '{}'", many.join(" ")),
    };
    let flag = find(settings, name)?;
    let value = match flag.kind {
        FlagKind::Bool => Yaml::Bool(settings.is_on(name)),
        FlagKind::Strings => settings.list(name).into(),
        FlagKind::Duration => {
            let nanos = u64::try_from(settings.span(name).as_nanos()).unwrap_or(u64::MAX);
            Yaml::from(crate::moments::format_span(nanos))
        }
        FlagKind::Text => Yaml::from(settings.text(name)),
        _ => settings.get(name).context("a setting has a value")?,
    };
    Ok(out.write_all(yaml_text(&value).as_bytes())?)
}

/// Prints all settings as they count.
///
/// # Errors
/// Writing failed.
pub(crate) fn view(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let all: Mapping = settings.all().into_iter().map(|(name, value)| (Yaml::from(name), value)).collect();
    Ok(out.write_all(yaml_text(&Yaml::Mapping(all)).as_bytes())?)
}

/// Changes a setting in the file.
///
/// # Errors
/// There is no such setting, the value has another type, or the file cannot be written.
pub(crate) fn set(settings: &mut Settings, operands: &[String]) -> Result<()> {
    match operands {
        [name] => change(settings, name, ""),
        [name, value] => change(settings, name, value),
        many => bail!("invalid arguments: set requires exactly 1 or 2 argument(s): got '{}'", many.join(" ")),
    }
}

/// Gives one setting, or all, its default in the file.
///
/// # Errors
/// There is no such setting, or the file cannot be written.
pub(crate) fn reset(settings: &mut Settings, operands: &[String]) -> Result<()> {
    match operands {
        [name] => change(settings, name, ""),
        [] => {
            for flag in setting_flags().filter(|flag| flag.name != "http-server") {
                settings.file.set(flag.name, file_value(flag, "")?);
            }
            settings.file.write()
        }
        many => bail!("invalid arguments: reset requires exactly 0 or 1 argument: got '{}'", many.join(" ")),
    }
}

fn change(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
    let flag = find(settings, name)?;
    let mut value = file_value(flag, value)?;
    let path = settings.text("config");
    settings.file.path = Some(path).filter(|path| !path.is_empty()).map(Into::into);
    let format = settings.file.path.as_deref().and_then(Format::of);
    if let (FlagKind::Duration, Some(Format::Json), Some(text)) = (flag.kind, format, value.as_str()) {
        value = parse_go_span(text).map_err(anyhow::Error::msg)?.into();
    }
    settings.file.set(name, value);
    settings.file.write()
}

fn find(settings: &Settings, name: &str) -> Result<&'static Flag> {
    if let Some(flag) = setting_flags().find(|flag| flag.name == name) {
        return Ok(flag);
    }
    if settings.file.has(name) {
        bail!("key={name} not bound to a flag");
    }
    bail!("unknown key: {name}")
}
