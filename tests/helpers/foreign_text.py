"""Text that means something to a browser, to Markdown, to Quarto or to a spreadsheet, as a stranger's rows may hold."""

FOREIGN = {
    "image": "x<img src=x onerror=window.hacked=1>",
    "script": "</script><script>window.hacked=1</script>",
    "markdown": "[a](javascript:window.hacked=1) *b* | c `d` <e> $f$ @g",
    "reference": "![a](https://elsewhere.example/a.png){onclick=window.hacked=1} https://elsewhere.example/b",
    "shortcode": "{{< include /etc/hostname >}} {{< meta a >}}",
    "fence": "::: {.a}\n```{=html}\n<img src=x onerror=window.hacked=1>\n```\n:::",
    "formula": '=HYPERLINK("https://elsewhere.example")',
    "heading": "# a",
    "list": "- a",
}
