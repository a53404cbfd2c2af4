//! Host-name templates: `{model}-{n:03}`.

use muster_protocol::id::Mac;

/// A template that makes a different name for every appliance of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostNameTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Number { width: usize },
    Model,
    Serial,
    Mac,
    Site,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("`{{{0}}}` is no placeholder: use {{n}}, {{n:03}}, {{site}}, {{model}}, {{serial}} or {{mac}}")]
    Placeholder(String),
    #[error("a brace is not closed")]
    Open,
    #[error("every appliance would get the same name: add {{n}}, {{serial}} or {{mac}}")]
    NotUnique,
    #[error("`{}` cannot be part of a host name: use letters, digits and dashes", .0.escape_debug())]
    Letters(char),
}

/// What a template needs to know about an appliance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameFor<'a> {
    pub(crate) site: &'a str,
    pub(crate) model: &'a str,
    pub(crate) serial: &'a str,
    pub(crate) mac: Mac,
}

/// Why a template makes no name for an appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("the host-name template uses the serial number, and this appliance has none")]
    NoSerial,
    #[error("the host name that the template makes is longer than 63 characters or begins or ends with a dash")]
    Label,
}

impl HostNameTemplate {
    pub(crate) fn parse(text: &str) -> Result<HostNameTemplate, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            if let Some(bad) = literal.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
                return Err(TemplateError::Letters(bad));
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_ascii_lowercase()));
            }
            rest = after;
            if let Some(inside) = rest.strip_prefix('{') {
                let (name, after) = inside.split_once('}').ok_or(TemplateError::Open)?;
                parts.push(Part::parse(name)?);
                rest = after;
            }
        }
        if !parts.iter().any(|part| matches!(part, Part::Number { .. } | Part::Serial | Part::Mac)) {
            return Err(TemplateError::NotUnique);
        }
        Ok(HostNameTemplate { parts })
    }

    /// Whether names are told apart by a number.
    pub(crate) fn is_numbered(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Number { .. }))
    }

    /// The name with number `n`; what is no letter or digit in site, model and serial becomes a dash.
    pub(crate) fn render(&self, appliance: NameFor<'_>, n: u32) -> Result<String, RenderError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Number { width } => name.push_str(&format!("{n:0width$}")),
                Part::Site if slug(appliance.site).is_empty() => name.push_str("site"),
                Part::Site => name.push_str(&slug(appliance.site)),
                Part::Model if slug(appliance.model).is_empty() => name.push_str("appliance"),
                Part::Model => name.push_str(&slug(appliance.model)),
                Part::Serial if slug(appliance.serial).is_empty() => return Err(RenderError::NoSerial),
                Part::Serial => name.push_str(&slug(appliance.serial)),
                Part::Mac => name.push_str(&data_encoding::HEXLOWER.encode(&appliance.mac.0[3..])),
            }
        }
        let good = (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-');
        if good { Ok(name) } else { Err(RenderError::Label) }
    }
}

impl Part {
    fn parse(name: &str) -> Result<Part, TemplateError> {
        match name {
            "n" => return Ok(Part::Number { width: 0 }),
            "model" => return Ok(Part::Model),
            "serial" => return Ok(Part::Serial),
            "mac" => return Ok(Part::Mac),
            "site" => return Ok(Part::Site),
            _ => {}
        }
        let width =
            name.strip_prefix("n:0").and_then(|width| width.parse().ok()).filter(|width| (1..=9).contains(width));
        let unknown = || TemplateError::Placeholder(name.chars().take(32).flat_map(char::escape_debug).collect());
        width.map(|width| Part::Number { width }).ok_or_else(unknown)
    }
}

fn slug(text: &str) -> String {
    let mapped: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    mapped.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPLIANCE: NameFor<'static> = NameFor {
        site: "Zürich 1",
        model: "Mail Guard/2 ",
        serial: "SN_001",
        mac: Mac([0xaa, 0xbb, 0xcc, 0, 0x11, 0x22]),
    };

    #[test]
    fn every_placeholder_is_filled() {
        let name = |text: &str| HostNameTemplate::parse(text).expect(text).render(APPLIANCE, 7).expect(text);
        assert_eq!(name("{model}-{n:03}"), "mail-guard-2-007");
        assert_eq!(name("GW{n}"), "gw7");
        assert_eq!(name("a-{serial}"), "a-sn-001");
        assert_eq!(name("a-{mac}"), "a-001122");
        assert_eq!(name("{site}-{n}"), "z-rich-1-7");
        let template = HostNameTemplate::parse("{model}-{n}").expect("good");
        assert_eq!(template.render(NameFor { model: "", ..APPLIANCE }, 1).expect("good"), "appliance-1");
    }

    #[test]
    fn every_fault_of_a_template_is_named() {
        use TemplateError::*;
        assert_eq!(HostNameTemplate::parse("a"), Err(NotUnique));
        assert_eq!(HostNameTemplate::parse("{model}"), Err(NotUnique));
        assert_eq!(HostNameTemplate::parse("a{n"), Err(Open));
        assert_eq!(HostNameTemplate::parse("a.{n}"), Err(Letters('.')));
        assert_eq!(HostNameTemplate::parse("{x}"), Err(Placeholder("x".into())));
        assert_eq!(HostNameTemplate::parse("{n:3}"), Err(Placeholder("n:3".into())));
    }

    #[test]
    fn a_name_that_cannot_be_is_refused() {
        let serial = HostNameTemplate::parse("{serial}").expect("good");
        assert_eq!(serial.render(NameFor { serial: " ", ..APPLIANCE }, 1), Err(RenderError::NoSerial));
        let long = "x".repeat(70);
        assert_eq!(serial.render(NameFor { serial: &long, ..APPLIANCE }, 1), Err(RenderError::Label));
    }
}
