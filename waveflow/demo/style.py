"""The look of the page; it uses only fonts of the visitor's machine."""

from __future__ import annotations

import gradio as gr

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]


def theme() -> gr.themes.Base:
    """Teal on a neutral background, light or dark like the visitor's system."""
    return gr.themes.Base(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="lg",
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="#0d1420",
        block_background_fill="white",
        block_background_fill_dark="#141d2b",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="#243044",
        block_shadow="none",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        slider_color="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        color_accent="*primary_700",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_400",
        block_info_text_color="*neutral_600",
    )


CSS = """
.gradio-container { max-width: 72rem !important; width: 100% !important; min-width: 0 !important;
  margin: 0 auto !important;
  .html-container { padding: 0 !important; }
  .wf-head { padding: 1.2rem 0 .2rem;
    h1 { font-size: 2rem; font-weight: 700; letter-spacing: -.02em; margin: 0; line-height: 1.1; }
    h1 span { color: #0d9488; }
    p { margin: .4rem 0 0; max-width: 46rem; color: var(--body-text-color-subdued); }
  }
  .wf-lead, .wf-lead p { color: var(--body-text-color-subdued); max-width: 46rem; }
  .wf-tiles { display: grid; gap: .5rem; margin: 0 0 .6rem;
    grid-template-columns: repeat(auto-fit, minmax(5rem, 1fr));
    div { padding: .5rem .4rem; border-radius: 10px; background: var(--block-background-fill);
      border: 1px solid var(--border-color-primary); }
    dt { font-size: .74rem; color: var(--body-text-color-subdued); }
    dd { margin: 0; font-size: 1.2rem; font-weight: 650; font-variant-numeric: tabular-nums;
      overflow-wrap: anywhere; }
  }
  .wf-pictures { display: grid; gap: 1rem;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
    figure { margin: 0; min-width: 0; }
    figcaption { font-size: .85rem; font-weight: 600; margin-bottom: .25rem; }
    img { display: block; width: 100%; height: auto; }
  }
  .wf-note { font-size: .85rem; color: var(--body-text-color-subdued); margin: .6rem 0 0; }
  .wf-warning { border-left: 4px solid #d97706; padding: .5rem .9rem; margin: 0 0 1rem;
    background: color-mix(in srgb, #d97706 12%, transparent); border-radius: 6px;
    font-size: .9rem; }
  .wf-empty { color: var(--body-text-color-subdued); border-radius: 12px; text-align: center;
    border: 1px dashed var(--border-color-primary); padding: 2.2rem 1rem; }
  .prose { contain: inline-size;  /* a wide table scrolls by itself and does not widen the page */
    table { display: block; overflow-x: auto; max-width: 100%; font-size: .82rem;
      border: 0 !important; border-collapse: collapse; font-variant-numeric: tabular-nums; }
    tr, thead, tbody { border: 0 !important; }
    td, th { white-space: nowrap; padding: .32rem .5rem !important; border: 0 !important;
      border-bottom: 1px solid var(--border-color-primary) !important; text-align: left; }
    thead:not(:has(th:not(:empty))) { display: none; }
    pre { overflow-x: auto; }
    code { overflow-wrap: anywhere; }
  }
  button:focus-visible, input:focus-visible, [tabindex]:focus-visible {
    outline: 3px solid #14b8a6 !important; outline-offset: 2px; }
}
.dark .tab-container button.selected { color: #2dd4bf; }
@media (max-width: 640px) {
  .gradio-container { > .main { padding: .8rem !important; }
    .tab-container button { padding: 0 .65rem !important; }
    .wf-head h1 { font-size: 1.6rem; }
  }
}
@media (prefers-reduced-motion: reduce) { * { animation-duration: .01ms !important; } }
"""

HEAD = f"""
<style>{CSS}</style>
<script>
// every icon has a name beside it, so screen readers skip the icon
const hide = () => document.querySelectorAll("svg:not([aria-hidden])").forEach(
  (icon) => icon.setAttribute("aria-hidden", "true"));
new MutationObserver(hide).observe(
  document.documentElement, {{ childList: true, subtree: true }});
</script>
"""
