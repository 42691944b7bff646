//! The query protocol of SNS and IAM: forms in, XML out.

use std::collections::BTreeMap;

use uuid::Uuid;

/// The parameters of one request.
pub(super) type Form = BTreeMap<String, String>;

/// An element of a response: a name, and text or elements in it.
#[derive(Debug)]
pub(super) struct Element {
    name: &'static str,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Elements(Vec<Element>),
}

impl Element {
    pub(super) fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            content: Content::Text(text.into()),
        }
    }

    pub(super) fn of(name: &'static str, elements: Vec<Element>) -> Self {
        Self {
            name,
            content: Content::Elements(elements),
        }
    }

    /// A list, as the query protocol writes it.
    pub(super) fn list(
        name: &'static str,
        members: impl IntoIterator<Item = Vec<Element>>,
    ) -> Self {
        Self::of(
            name,
            members
                .into_iter()
                .map(|member| Self::of("member", member))
                .collect(),
        )
    }

    fn write(&self, xml: &mut String) {
        xml.extend(["<", self.name, ">"]);
        match &self.content {
            Content::Text(text) => text.chars().for_each(|c| match c {
                '<' => xml.push_str("&lt;"),
                '>' => xml.push_str("&gt;"),
                '&' => xml.push_str("&amp;"),
                '\r' => xml.push_str("&#13;"),
                _ => xml.push(c),
            }),
            Content::Elements(elements) => elements.iter().for_each(|element| element.write(xml)),
        }
        xml.extend(["</", self.name, ">"]);
    }
}

/// The body of a successful response.
pub(super) fn response_body(namespace: &str, action: &str, result: &[Element]) -> String {
    let mut content = String::new();
    for element in result {
        element.write(&mut content);
    }
    let mut metadata = String::new();
    Element::of("ResponseMetadata", vec![request_id()]).write(&mut metadata);
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{content}</{action}Result>{metadata}</{action}Response>"
    )
}

/// The body of an error response.
pub(crate) fn error_body(namespace: &str, code: &str, message: &str) -> String {
    let error = [("Type", "Sender"), ("Code", code), ("Message", message)];
    let error = error.map(|(name, text)| Element::text(name, text)).into();
    let mut xml = format!("<ErrorResponse xmlns=\"{namespace}\">");
    Element::of("Error", error).write(&mut xml);
    request_id().write(&mut xml);
    xml.push_str("</ErrorResponse>");
    xml
}

fn request_id() -> Element {
    Element::text("RequestId", Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut xml = String::new();
        Element::list("L", [vec![Element::text("T", "a<b>&\r\"c\"")]]).write(&mut xml);
        assert_eq!(
            xml,
            "<L><member><T>a&lt;b&gt;&amp;&#13;\"c\"</T></member></L>"
        );
    }
}
