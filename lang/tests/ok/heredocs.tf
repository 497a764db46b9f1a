locals {
  names = ["a", "b"]
  plain = <<EOT
  keeps	its
    indentation
EOT
  dedented = <<-EOT
    first
      second ${1 + 1}

    third
      %{for n in local.names~}
      - ${n}
      %{endfor~}
    end
  EOT
  zero = <<-EOT
${"zero"}
    stays
  EOT
  escapes = <<-EOT
    $${x} %%{y} $ % \n "quoted"
  EOT
  trimmed = <<EOT
a  ${~"b"~}  
  c %{if true~}
    yes
  %{~else~}
    no
  %{~endif}
EOT
}
output "plain" { value = local.plain }
output "dedented" { value = local.dedented }
output "zero" { value = local.zero }
output "escapes" { value = local.escapes }
output "trimmed" { value = local.trimmed }
output "as_argument" {
  value = upper(<<-EOT
    shout
  EOT
  )
}
