//! From an error to what a person reads: a stable code, what happened, what to do.

use crate::view::ProblemView;

/// An error that a person gets to see.
pub trait Explain: std::error::Error {
    /// A stable word for programs, as `invite_expired`.
    fn code(&self) -> String;
    /// What to do about it; never empty.
    fn remedy(&self) -> String;

    /// Code, message with its causes, and remedy.
    fn problem(&self) -> ProblemView {
        ProblemView { code: self.code(), message: chain(self), remedy: self.remedy() }
    }
}

/// `message: cause: cause`.
pub(crate) fn chain<E: std::error::Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A problem that is no error of a library: written out at its place.
pub(crate) fn problem(code: &str, message: impl Into<String>, remedy: &str) -> ProblemView {
    ProblemView { code: code.to_owned(), message: message.into(), remedy: remedy.to_owned() }
}
