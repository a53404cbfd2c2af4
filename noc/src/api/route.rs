//! The table of routes: what is served, for whom, and what the documentation says of it, in one place.

use super::App;
use crate::operators::access::Needs;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, ToSchema};

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Anybody,
    /// With a console's client certificate.
    Consoles,
    /// With an appliance's client certificate.
    Appliances,
    /// With a session or an API token.
    Operators(Needs),
}

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) audience: Audience,
    pub(crate) handler: MethodRouter<App>,
    /// None for what docs/protocol-noc.md describes.
    pub(crate) doc: Option<Doc>,
}

/// What the documentation says.
pub(crate) struct Doc {
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Option<Shape>,
    pub(crate) status: u16,
    pub(crate) answer: Body,
    pub(crate) faults: Vec<u16>,
    /// A POST that may carry an `Idempotency-Key`.
    pub(crate) is_keyed: bool,
    /// The answer has an ETag.
    pub(crate) is_tagged: bool,
    /// A change that names the version it changes.
    pub(crate) is_conditional: bool,
}

/// What a good answer holds.
pub(crate) enum Body {
    Nothing,
    Json(Shape),
    Page(Shape),
    /// Something else than JSON, of this kind.
    Other(&'static str),
}

/// The schema of a type, and of those it refers to.
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    fn of<T: ToSchema>() -> Shape {
        let name = T::name().into_owned();
        let mut schemas = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        Shape { name, schemas }
    }
}

/// A route as tests see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteInfo {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// With `{names}` for what varies.
    pub path: String,
    /// `anybody`, `consoles`, `appliances`, `session` or the scope that an API token needs.
    pub audience: String,
}

impl Route {
    fn new(method: Method, path: &'static str, handler: MethodRouter<App>, audience: Audience) -> Route {
        Route { method, path, audience, handler, doc: None }
    }

    pub(crate) fn get<T: 'static>(path: &'static str, audience: Audience, handler: impl Handler<T, App>) -> Route {
        Route::new(Method::GET, path, get(handler), audience)
    }

    pub(crate) fn post<T: 'static>(path: &'static str, audience: Audience, handler: impl Handler<T, App>) -> Route {
        Route::new(Method::POST, path, post(handler), audience)
    }

    pub(crate) fn put<T: 'static>(path: &'static str, audience: Audience, handler: impl Handler<T, App>) -> Route {
        Route::new(Method::PUT, path, put(handler), audience)
    }

    pub(crate) fn patch<T: 'static>(path: &'static str, audience: Audience, handler: impl Handler<T, App>) -> Route {
        Route::new(Method::PATCH, path, patch(handler), audience)
    }

    pub(crate) fn delete<T: 'static>(path: &'static str, audience: Audience, handler: impl Handler<T, App>) -> Route {
        Route::new(Method::DELETE, path, delete(handler), audience)
    }

    /// Says what the route is for; its answer is 204 until another is named.
    pub(crate) fn says(self, tag: &'static str, summary: &'static str) -> Route {
        let doc = Doc {
            tag,
            summary,
            query: Vec::new(),
            body: None,
            status: 204,
            answer: Body::Nothing,
            faults: Vec::new(),
            is_keyed: false,
            is_tagged: false,
            is_conditional: false,
        };
        Route { doc: Some(doc), ..self }
    }

    fn doc(mut self, change: impl FnOnce(&mut Doc)) -> Route {
        if let Some(doc) = &mut self.doc {
            change(doc);
        }
        self
    }

    pub(crate) fn query<T: IntoParams>(self) -> Route {
        self.doc(|doc| doc.query = T::into_params(|| Some(ParameterIn::Query)))
    }

    pub(crate) fn takes<T: ToSchema>(self) -> Route {
        self.doc(|doc| doc.body = Some(Shape::of::<T>()))
    }

    pub(crate) fn shows<T: ToSchema>(self) -> Route {
        self.doc(|doc| (doc.status, doc.answer) = (200, Body::Json(Shape::of::<T>())))
    }

    pub(crate) fn lists<T: ToSchema>(self) -> Route {
        self.doc(|doc| (doc.status, doc.answer) = (200, Body::Page(Shape::of::<T>())))
    }

    pub(crate) fn makes<T: ToSchema>(self) -> Route {
        self.doc(|doc| (doc.status, doc.answer) = (201, Body::Json(Shape::of::<T>())))
    }

    pub(crate) fn sends(self, kind: &'static str) -> Route {
        self.doc(|doc| (doc.status, doc.answer) = (200, Body::Other(kind)))
    }

    pub(crate) fn keyed(self) -> Route {
        self.doc(|doc| doc.is_keyed = true)
    }

    pub(crate) fn tagged(self) -> Route {
        self.doc(|doc| doc.is_tagged = true)
    }

    pub(crate) fn conditional(self) -> Route {
        self.doc(|doc| (doc.is_tagged, doc.is_conditional) = (!matches!(doc.answer, Body::Nothing), true))
    }

    /// Statuses of refusals besides those that every route of its kind has.
    pub(crate) fn faults(self, faults: &[u16]) -> Route {
        self.doc(|doc| doc.faults.extend(faults))
    }

    /// The route as tests see it.
    pub(crate) fn info(&self) -> RouteInfo {
        let audience = match self.audience {
            Audience::Anybody => "anybody".to_owned(),
            Audience::Consoles => "consoles".to_owned(),
            Audience::Appliances => "appliances".to_owned(),
            Audience::Operators(Needs::Session) => "session".to_owned(),
            Audience::Operators(Needs::Scope(scope)) => crate::store::word(&scope),
        };
        RouteInfo { method: self.method.to_string(), path: self.path.to_owned(), audience }
    }
}
