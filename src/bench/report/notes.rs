//! How is the report to be read? What each question means and how it was answered.

use maud::{Markup, html};

use super::Entry;
use super::words::{verdict_class, verdict_sign};
use crate::bench::digest::{Question, meaning};
use crate::bench::record::VerdictKind;

const VERDICTS: [VerdictKind; 7] = [
    VerdictKind::Ok,
    VerdictKind::GeneratorBound,
    VerdictKind::SinkBound,
    VerdictKind::MediumBound,
    VerdictKind::AtMaxLoad,
    VerdictKind::Contaminated,
    VerdictKind::Unaccounted,
];

/// The question in a sentence.
pub(super) const fn asks(question: Question) -> &'static str {
    match question {
        Question::Throughput => {
            "The largest load that loses no more than a goal allows: nothing for NDR, half a \
             percent for PDR. Every goal is known between two bounds."
        }
        Question::Compare => {
            "Two forwarders, or one twice, measured in turns. The ratio is the median over pairs; \
             it counts when its whole confidence interval lies beyond the margin."
        }
        Question::Latency => {
            "How long frames take at shares of the throughput, counted from the time they were \
             due, so that a generator that stalls hides nothing."
        }
        Question::Loss => "How much is lost at which load, the largest load first.",
        Question::Scale => "One figure along one axis, everything else the same.",
        Question::Cost => {
            "Ticks of the time stamp counter for one packet in one thread, without generator and \
             sink. Hot: few frames that stay in the cache. Cold: many that do not."
        }
        Question::Sessions => {
            "How fast NAT opens sessions, how many it holds, and what they cost (RFC 9693). A \
             session counts when it is found again from outside."
        }
        Question::Failover => {
            "How long traffic stops when a link or an edge fails, by three methods that should \
             agree (RFC 6201)."
        }
        Question::Limits => {
            "What a limit of the service lets through of a load above it, once its bucket is empty. \
             The limit itself is arithmetic from what the service publishes."
        }
        Question::Churn => {
            "How many route changes a second the forwarding table takes under load without losing a \
             frame: next hops replaced, routes withdrawn and announced again."
        }
        Question::Burst => {
            "The longest burst without loss (RFC 2544 section 26.4), and the buffer that it tells \
             of (RFC 9004)."
        }
        Question::Recovery => {
            "How long an overload is felt after it has ended (RFC 2544 section 26.5)."
        }
        Question::Calibration => {
            "What generator, sink and medium can do with nothing between them: no figure can be \
             higher."
        }
    }
}

/// The page's last part but one.
pub(super) fn notes(entries: &[Entry]) -> Markup {
    let has = |question| entries.iter().any(|entry| entry.digest.question == question);
    html! {
        section.method {
            h2 { "How to read this" }
            h3 { "Verdicts" }
            dl.verdicts {
                @for kind in VERDICTS {
                    dt {
                        span class=(format!("chip {}", verdict_class(kind))) {
                            span.sign aria-hidden="true" { (verdict_sign(kind)) } " " (kind)
                        }
                    }
                    dd { (meaning(kind)) }
                }
            }
            h3 { "Words" }
            dl.words {
                dt { "Unsent" }
                dd {
                    "Frames that were due within the trial and did not leave. A trial is open loop: \
                     it ends on time, and what was not sent counts as lost. So trouble of the \
                     generator makes a figure lower, never higher."
                }
                dt { "Line rates" }
                dd {
                    "Nominal: arithmetic, from the speed of the link, with preamble and gap. \
                     Circuit: what the policer lets through. Medium: what this machine carried \
                     today without a forwarder."
                }
                @if has(Question::Throughput) {
                    dt { "NDR, PDR" }
                    dd {
                        "No-drop rate and partial-drop rate (MLRsearch). A load meets a goal when \
                         the share of bad trials stays under what the goal allows. A load that \
                         fails outweighs larger ones that pass. NDR over PDR under 0.9 tells of a \
                         noisy machine."
                    }
                }
                @if has(Question::Latency) {
                    dt { "Due, left" }
                    dd {
                        "Latency from the time a frame should have been sent, and from the time it \
                         was sent. Users feel the first; the second leaves out what waited in the \
                         generator. A percentile is told only when 20 frames or more lie beyond."
                    }
                }
                dt { "Contaminated" }
                dd {
                    "A thread waited over 1 % of the trial for its core, or the hypervisor took \
                     over 0.5 % of the time, or a thread was put off its core over 100 times a \
                     second. Such trials are shown grey."
                }
                dt { "Accounts" }
                dd {
                    "Every frame offered was received, or is in a counter that says why it was \
                     dropped, or the trial is invalid."
                }
            }
        }
    }
}
