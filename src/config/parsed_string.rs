//! Texts of the deploy file that are read with a rule: one macro for all of them, the targets' too.

/// Declares a text that is accepted by a rule of the form `fn(&str) -> Result<(), String>`; attributes of the type and of
/// its field pass through.
macro_rules! parsed_string {
    ($(#[$attribute:meta])* $name:ident, $(#[$field:meta])* $rule:path) => {
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, ::serde::Deserialize, ::schemars::JsonSchema,
        )]
        #[serde(try_from = "String")]
        $(#[$attribute])*
        pub struct $name($(#[$field])* String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $rule(&text).map(|()| Self(text))
            }
        }
    };
}

pub(crate) use parsed_string;
