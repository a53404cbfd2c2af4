// Texts of the simulated site that are attacks. Nothing else is here, so that the browser tests can read it as well.

/** What would act in a page, a tooltip or a spreadsheet if it were taken for more than a text. */
export const HOSTILE = [
  '<img src=x onerror="window.acted=1">',
  '</script><script>window.acted=1</script>',
  '<svg onload="window.acted=1"><b>bold</b>',
  '"><iframe srcdoc="<script>parent.acted=1</script>">',
  'javascript:window.acted=1',
  '=HYPERLINK("http://x.example","x")',
]
