//! What the environment says about traces, by the names of the OpenTelemetry specification.
//!
//! Invariant: a setting that cannot be obeyed is an error with cause and cure, never a silent default.

use crate::telemetry::Sampling;

/// What a process says of itself, and what it does when the environment is silent.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// `service.name`, unless `OTEL_SERVICE_NAME` is set: `ottla`, or `ottla-gateway` for a process of one role.
    pub service_name: String,
    /// More resource attributes, such as `service.instance.id`.
    pub attributes: Vec<(String, String)>,
    /// Where spans go when no endpoint is set; `None` leaves tracing off then.
    pub default_endpoint: Option<String>,
}

/// Tracing, on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traces {
    /// `None`: the exporter reads it from the environment.
    pub(super) endpoint: Option<String>,
    pub(super) sampling: Sampling,
}

pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether and how to trace.
pub(super) fn traces(options: &TelemetryOptions, env: Env<'_>) -> Result<Option<Traces>, String> {
    if env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    match env("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(format!(
                "OTEL_TRACES_EXPORTER={other}: Ottla exports by otlp; set otlp or none"
            ));
        }
    }
    let endpoint_keys = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let has_endpoint = endpoint_keys.iter().any(|key| env(key).is_some());
    if !has_endpoint && options.default_endpoint.is_none() {
        return Ok(None);
    }
    for key in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match env(key) {
            Some(protocol) if protocol != "grpc" => {
                return Err(format!(
                    "{key}={protocol}: Ottla speaks OTLP over grpc; set grpc, port 4317"
                ));
            }
            _ => {}
        }
    }
    let endpoint = if has_endpoint { None } else { options.default_endpoint.clone() };
    Ok(Some(Traces { endpoint, sampling: sampling(env)? }))
}

fn sampling(env: Env<'_>) -> Result<Sampling, String> {
    let name = env("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".into());
    let (is_parent_based, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => ratio(env)?,
        _ => {
            return Err(format!(
                "OTEL_TRACES_SAMPLER={name}: unknown; set always_on, always_off or traceidratio, with or without parentbased_"
            ));
        }
    };
    Ok(Sampling { is_parent_based, ratio })
}

fn ratio(env: Env<'_>) -> Result<f64, String> {
    let Some(text) = env("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("OTEL_TRACES_SAMPLER_ARG={text}: not a share; set a number from 0 to 1")),
    }
}
